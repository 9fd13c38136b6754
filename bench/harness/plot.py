"""The picture of a report: plot.py REPORT.json PICTURE.svg. Needs matplotlib."""

from __future__ import annotations

import json
import sys
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

#: Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = {"recoup": "#0072B2", "restic": "#D55E00", "rustic": "#E69F00", "borg": "#009E73", "bupstash": "#CC79A7"}


def plot_peers(report: dict[str, Any]):
    """A panel for each data set: wall seconds of each operation, a bar for each program."""
    programs = list(report["versions"])
    figure, panels = plt.subplots(1, len(report["data"]), figsize=(6 * len(report["data"]), 4.2), squeeze=False, layout="constrained")
    for axes, each in zip(panels[0], report["data"]):
        operations = list(each["operations"])
        width = 0.8 / len(programs)
        for number, name in enumerate(programs):
            places, walls = [], []
            for index, operation in enumerate(operations):
                if measured := each["operations"][operation].get(name):
                    places.append(index + (number - (len(programs) - 1) / 2) * width)
                    walls.append(measured["wall"])
            bars = axes.bar(places, walls, width, label=name, color=COLOURS[name])
            axes.bar_label(bars, [f"{wall:.2g}" for wall in walls], fontsize=6)
        axes.set_xticks(range(len(operations)), operations, rotation=20, ha="right", fontsize=8)
        axes.set_ylabel("wall seconds")
        axes.set_title(f"{each['name']}: {each['files']:,} files, {each['bytes'] / 1e6:,.0f} MB", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][-1].legend(frameon=False, fontsize=8)
    return figure


def plot_growth(report: dict[str, Any]):
    """A row for each series; wall, processor, memory; a line for each operation and program, on logarithmic axes."""
    series = [each for each in report["series"] if each["operations"]]
    fields = (("wall", "wall s", 1), ("cpu", "CPU s", 1), ("memory", "peak MB", 1e-6))
    figure, panels = plt.subplots(len(series), 3, figsize=(13, 3.6 * len(series)), squeeze=False, layout="constrained")
    for row, each in zip(panels, series):
        for axes, (field, label, unit) in zip(row, fields):
            for style, (operation, by_program) in zip(("-o", "--s", ":^", "-.v", "-x", "--d"), each["operations"].items()):
                for name, cells in by_program.items():
                    points = [(size, cell[field] * unit) for size, cell in zip(each["sizes"], cells) if cell]
                    axes.loglog(*zip(*points), style, color=COLOURS[name], markersize=3, linewidth=1, label=f"{name}, {operation}")
            axes.set_ylabel(label)
            axes.set_xlabel(f"{each['name']}: {each['description']}" if axes is row[0] else each["name"], fontsize=7)
            for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
                axis("{x:g}")
            axes.tick_params(labelsize=7, which="both")
            axes.grid(alpha=0.25)
        row[-1].legend(frameon=False, fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def main() -> None:
    source, target = sys.argv[1:]
    with open(source) as file:
        report = json.load(file)
    matplotlib.rcParams["svg.hashsalt"] = "recoup"  # the same report gives the same file
    figure = {"peers": plot_peers, "growth": plot_growth}[report["kind"]](report)
    where = report["machine"]
    figure.suptitle(f"{where['cores']} cores of {where['processor']}, {report['date']}", fontsize=8, color="gray")
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
