"""examples/python/velero_metrics.py, read as Prometheus reads it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from datetime import datetime

from prometheus_client.parser import text_string_to_metric_families

EXAMPLE = pathlib.Path(__file__).parents[3] / "examples/python/velero_metrics.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, EXAMPLE, *map(str, arguments)], env=dict(os.environ), capture_output=True, text=True, check=False)


def test_metrics_are_those_of_the_bucket(genuine, tmp_path):
    file = tmp_path / "velero.prom"
    done = run(genuine.path, file)
    assert done.returncode == 0, done
    families = text_string_to_metric_families(file.read_text(encoding="utf-8"))
    samples = [sample for family in families for sample in family.samples]
    times = {sample.name: sample.value for sample in samples if sample.labels == {"schedule": "daily"}}
    copies = {sample.labels["volume"]: sample.value for sample in samples if sample.name == "velero_bucket_volume_has_copy"}

    backups = genuine.expected["backups"]
    good = [each for each in backups if each["phase"] == "Completed"]
    for name, backup in (("newest", backups[-1]), ("newest_good", good[-1])):
        start = datetime.fromisoformat(backup["start"].replace("Z", "+00:00"))
        assert times[f"velero_bucket_{name}_backup_timestamp_seconds"] == start.timestamp()

    stored = {f"{each['namespace']}/{each['pvc']}": each["phase"] == "Completed" for each in backups[-1]["volumes"] if each["pvc"]}
    skipped = {f"{each['namespace']}/{each['pvc']}": False for each in backups[-1]["skipped"]}
    for name, has_copy in {**stored, **skipped}.items():
        assert copies[name] == has_copy, name
    assert not all(copies.values()) and any(copies.values())


def test_without_a_bucket_what_was_written_before_stays(tmp_path):
    file = tmp_path / "velero.prom"
    file.write_text("before", encoding="utf-8")
    done = run(tmp_path / "nothing", file)
    assert done.returncode == 1 and done.stderr.startswith("velero_metrics.py: ")
    assert file.read_text(encoding="utf-8") == "before"
