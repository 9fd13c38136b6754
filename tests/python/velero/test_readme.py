"""The README's example of recoup.velero, as it stands, on a bucket that Velero has written."""

from __future__ import annotations

import pathlib
import re
import runpy

import pytest

README = pathlib.Path(__file__).parents[3] / "README.md"
BUCKET, TARGET = "s3:http://nas.example:9000/velero-backups", "/srv/restore"


def test_the_example_runs(quickly_opened, tmp_path, capsys):
    examples = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    example = next((each for each in examples if "recoup.velero" in each), None)
    if example is None:
        pytest.fail("the README has no example of recoup.velero")
    genuine = quickly_opened("velero-1.16.2-restic")
    for stands, here in ((BUCKET, genuine.path), (TARGET, tmp_path / "restored")):
        assert stands in example
        example = example.replace(stands, str(here))
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    runpy.run_path(str(tmp_path / "example.py"))
    said = capsys.readouterr().out
    assert "backup-20260103-000000 partial" in said and "db/data-postgres-0 stored" in said
    assert (tmp_path / "restored/pgdata/PG_VERSION").read_text() == "16\n"
