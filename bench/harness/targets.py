"""What recoup is to reach beside restic 0.19, in the same run on the same machine.

Set on 2026-11-23 from restic's own times and from what the parts of the work cost on one core (hashing, encryption, file system calls),
so they are steep but not out of reach. Only ratios count: seconds are the machine's.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Target:
    data: str
    operation: str
    measure: str  # "wall", "repository": at most `limit` times restic's; "memory": at most `limit` bytes
    limit: float

    @property
    def text(self) -> str:
        if self.measure == "memory":
            return f"peak memory at most {self.limit / 1e6:.0f} MB"
        if self.measure == "repository":
            return "repository not larger than restic's"
        return f"at most 1/{1 / self.limit:g} of restic's time"


TARGETS = (
    Target("R", "first backup", "wall", 1 / 5),
    Target("R", "restore", "wall", 1 / 5),
    Target("R", "check --read-data", "wall", 1 / 4),
    Target("B", "first backup", "wall", 1 / 2.5),
    Target("B", "first backup", "repository", 1),
    Target("B", "restore", "wall", 1 / 3),
    Target("T", "first backup", "wall", 1 / 3.5),
    Target("T", "first backup", "repository", 1),
    Target("T", "first backup", "memory", 64e6),
    Target("T", "backup again", "wall", 1 / 6),
    Target("T", "restore", "wall", 1 / 4),
    Target("T", "check --read-data", "wall", 1 / 3),
)


def judge(data: list[dict]) -> list[dict]:
    """For each target whose row was measured with both programs: what was reached.

    `data`: the report's list of data sets.
    """
    by_name = {each["name"]: each for each in data}
    judged = []
    for target in TARGETS:
        measured = by_name.get(target.data)
        if not measured:
            continue
        row = measured["operations"].get(target.operation, {})
        ours, restics = row.get("recoup"), row.get("restic")
        if not ours or (target.measure != "memory" and not restics):
            continue
        if target.measure == "memory":
            reached = ours["memory"]
        elif target.measure == "repository":
            reached = measured["repository"]["recoup"] / measured["repository"]["restic"]
        else:
            reached = ours["wall"] / restics["wall"]
        judged.append({"data": target.data, "operation": target.operation, "measure": target.measure, "target": target.text,
                       "limit": target.limit, "reached": reached, "is_reached": reached <= target.limit})
    return judged
