"""Steps that many tests take."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from . import format
from .programs import HOST, Program, Repository, Result


@dataclasses.dataclass
class Backup:
    """One backup that ended well: what it said and what it stored."""

    result: Result
    summary: dict
    id: str
    snapshot: dict

    @property
    def tree(self) -> str:
        return self.snapshot["tree"]


def backup(program: Program, repo: Repository, *args: Any, code: int | tuple[int, ...] = 0, host: str | None = HOST, **run: Any) -> Backup:
    """`backup --json`; the snapshot is read by our own reader, not by the program that wrote it."""
    hosted = ["--host", host] if host else []
    result = program.run("backup", "--json", *hosted, *args, repo=repo, code=code, **run)
    summary = result.summary
    name = summary["snapshot_id"]
    if len(name) < 64:  # restic 0.14
        (name,) = [n for n in format.Repo(repo.path, repo.password).names("snapshots") if n.startswith(name)]
    return Backup(result, summary, name, format.Repo(repo.path, repo.password).load("snapshots", name))


def check_clean(program: Program, repo: Repository, *args: Any, read_data: bool = True) -> Result:
    """`check` finds nothing; leftovers that no index names may be mentioned."""
    result = program.run("check", *(["--read-data"] if read_data else []), *args, repo=repo, code=0)
    if not program.name.endswith("old"):
        assert "no errors were found" in result.text, result
    return result


def restore(program: Program, repo: Repository, snapshot: str, target: pathlib.Path, *args: Any, **run: Any) -> Result:
    return program.run("restore", snapshot, "--target", target, *args, repo=repo, **run)


def explain(repo_a: Repository, tree_a: str, repo_b: Repository, tree_b: str) -> str:
    """Where two stored trees begin to differ, as JSON texts side by side."""
    a, b = format.Repo(repo_a.path, repo_a.password), format.Repo(repo_b.path, repo_b.password)
    lines: list[str] = []

    def descend(left: str, right: str, path: str) -> None:
        if left == right or len(lines) > 20:
            return
        one, two = a.blob("tree", left), b.blob("tree", right)
        nodes_a, nodes_b = ({n["name"]: n for n in format.json.loads(raw)["nodes"]} for raw in (one, two))
        before = len(lines)
        for name in sorted(nodes_a.keys() | nodes_b.keys()):
            x, y = nodes_a.get(name), nodes_b.get(name)
            if x == y:
                continue
            if x and y and x["type"] == y["type"] == "dir":
                same_but_below = {**x, "subtree": 0} == {**y, "subtree": 0}
                descend(x["subtree"], y["subtree"], f"{path}/{name}")
                if same_but_below:
                    continue
            lines.append(f"{path}/{name}\n  {x}\n  {y}")
        if len(lines) == before:  # equal as data, unlike as bytes
            at = next((i for i, (p, q) in enumerate(zip(one, two)) if p != q), min(len(one), len(two)))
            lines.append(f"{path}: bytes differ at {at}:\n  {one[max(0, at - 60):at + 80]!r}\n  {two[max(0, at - 60):at + 80]!r}")

    descend(tree_a, tree_b, "")
    return "\n".join(lines)
