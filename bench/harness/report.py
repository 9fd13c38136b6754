"""Reports: Markdown to read, JSON to compute with, and a picture."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from .measure import Measurement
from .programs import HERE


def cell(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """What the JSON says of one operation of one program: medians, and every run."""
    return {field: statistics.median(getattr(each, field) for each in measurements) for field in ("wall", "cpu", "memory")} | {
        "runs": [dataclasses.asdict(each) for each in measurements]}


def header(title: str, report: dict[str, Any]) -> list[str]:
    machine = report["machine"]
    lines = [f"# {title}", "",
             f"{report['date']}; commit {report['commit']}; {machine['cores']} cores of {machine['processor']} "
             f"(family/model/stepping {machine['family']}; {', '.join(machine['instructions'])})"
             f"{', a virtual machine' if machine['virtual'] else ''}, {machine['memory'] / 2**30:.0f} GiB; "
             f"Linux {machine['kernel']}, {machine['system']}.", ""]
    return lines + [f"- {name}: {version}" for name, version in report["versions"].items()] + [""]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column is text, the others are figures."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def megabytes(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:,.0f}" if value >= 1e7 else f"{value / 1e6:.1f}"


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def of_restic(row: dict[str, dict], name: str, field: str = "wall") -> float | None:
    if not row.get(name) or not row.get("restic"):
        return None
    return row[name][field] / row["restic"][field]


def operations_table(operations: dict[str, dict], programs: Sequence[str]) -> list[str]:
    """A row for each operation and program: wall, processor, memory, and wall as a part of restic's."""
    rows = []
    for operation, row in operations.items():
        for name in programs:
            measured = row.get(name)
            rows.append([operation if name == programs[0] else "", name] + (
                [seconds(measured["wall"]), seconds(measured["cpu"]), megabytes(measured["memory"]), ratio(of_restic(row, name))]
                if measured else [""] * 4))
    return table(["operation", "program", "wall s", "CPU s", "peak MB", "wall / restic's"], rows)


def peers_markdown(report: dict[str, Any]) -> str:
    programs = list(report["versions"])
    lines = header("recoup beside other programs", report)
    lines += [f"Medians of {report['runs']} run(s), programs in turn. Repositories: {report['storage']}.", ""]
    for each in report["data"]:
        lines += [f"## {each['name']}: {each['description']}", "",
                  f"{each['files']:,} files in {each['directories']:,} directories, {each['bytes'] / 1e6:,.0f} MB.", ""]
        lines += operations_table(each["operations"], programs)
        sizes = each["repository"]
        lines += table(["repository", *programs], [["MB", *(megabytes(sizes.get(name)) for name in programs)]])
        if each.get("raw_upload"):
            lines += [f"`mc cp` of recoup's repository into the same MinIO, with no line between: {each['raw_upload']:.2f} s", ""]
    if report["targets"]:
        lines += ["## Targets", ""]
        lines += table(["target", "reached", ""], [
            [f"{each['data']}, {each['operation']}: {each['target']}",
             f"{megabytes(each['reached'])} MB" if each["measure"] == "memory" else ratio(each["reached"]),
             "reached" if each["is_reached"] else "missed"] for each in report["targets"]])
    lines += ["## What was typed", ""]
    operations = list(next(iter(report["calls"].values())))
    lines += table(["program", *operations], [[name, *(f"`{calls[one]}`" if one in calls else "" for one in operations)]
                                              for name, calls in report["calls"].items()])
    lines += [f"{name}: {note}." for name, note in report["notes"].items()]
    return "\n".join(lines).rstrip() + "\n"


def growth_markdown(report: dict[str, Any]) -> str:
    """A table for each series: sizes downwards, programs sideways; the fitted exponents below."""
    programs = list(report["versions"])
    lines = header("How cost grows", report)
    lines += ["k: cost is proportional to size^k, fitted over all sizes; in brackets over the three largest, where the fixed cost of a "
              "start no longer hides the growth.", ""]
    for series in report["series"]:
        lines += [f"## {series['name']}", "", series["description"], ""]
        for operation, row in series["operations"].items():
            head = [operation] + [f"{name}: {what}" for name in programs for what in ("wall s", "CPU s", "peak MB")]
            rows = []
            for index, size in enumerate(series["sizes"]):
                cells = [(row.get(name) or [None] * len(series["sizes"]))[index] for name in programs]
                rows.append([f"{size:,}"] + [text for one in cells for text in (
                    (seconds(one["wall"]), seconds(one["cpu"]), megabytes(one["memory"])) if one else ("", "", ""))])
            fits = series["exponents"].get(operation, {})
            rows.append(["**k**"] + [fit_text(fits.get(name, {}).get(field)) for name in programs for field in ("wall", "cpu", "memory")])
            lines += table(head, rows)
    lines += [f"- left out: {reason}" for reason in report["left_out"]]
    return "\n".join(lines).rstrip() + "\n"


def fit_text(fit: dict[str, float | None] | None) -> str:
    if not fit or fit["all"] is None:
        return ""
    return f"{fit['all']:.2f}" + (f" ({fit['upper']:.2f})" if fit["upper"] is not None else "")


def worst_cases_markdown(report: dict[str, Any]) -> str:
    lines = header("Worst cases", report)
    for each in report["cases"]:
        lines += [f"## {each['name']}", "", f"{each['files']:,} files in {each['directories']:,} directories, "
                  f"{each['bytes'] / 1e6:,.1f} MB.", ""]
        lines += operations_table(each["operations"], list(report["versions"]))
        lines += [f"- {name}: {what}" for name, what in each["failed"].items()] + [""]
    return "\n".join(lines).rstrip() + "\n"


# ---- files ----------------------------------------------------------------------------------------------------------

def write(report: dict[str, Any], markdown: str, directory: pathlib.Path, with_plot: bool) -> None:
    """Writes report.json and report.md, and report.svg if wanted; prints the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    if with_plot and plot(directory / "report.json", directory / "report.svg"):
        markdown += "\n![](report.svg)\n"
    (directory / "report.md").write_text(markdown)
    print(markdown)
    print(f"written: {directory}/report.md, report.json{', report.svg' if with_plot else ''}", file=sys.stderr)


def plot(source: pathlib.Path, target: pathlib.Path) -> bool:
    """In a process of its own, with a Python that has matplotlib. Without one the report has no picture, and says so."""
    done = subprocess.run([plotting_python(), str(HERE / "bench/harness/plot.py"), str(source), str(target)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        print(f"no plot: {done.stderr.strip()[-400:]}", file=sys.stderr)
    return done.returncode == 0


def plotting_python() -> str:
    """This Python if it has matplotlib, else that of build/bench/venv, which is made for it."""
    if importlib.util.find_spec("matplotlib"):
        return sys.executable
    home = HERE / "build/bench/venv"
    python = home / "bin/python"
    if subprocess.run([python, "-c", "import matplotlib"], capture_output=True).returncode if python.exists() else True:
        subprocess.run([sys.executable, "-m", "venv", home], check=False, stdout=subprocess.DEVNULL)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "matplotlib"], check=False,
                       stdout=sys.stderr)
    return str(python)
