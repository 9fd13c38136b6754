"""What is wrong with a bucket of Velero that Velero itself does not tell."""

from __future__ import annotations

from datetime import datetime, timezone

from . import audit_backups, audit_repositories, audit_schedules
from .audit_report import AuditReport, Finding, Severity
from .bucket import VeleroBucket
from .repositories import Repositories


def audit(bucket: VeleroBucket, *, repositories: Repositories | None = None, now: datetime | None = None) -> AuditReport:
    """Looks through the whole bucket: the backups' lists, the newest manifests, and the snapshots of restic's repositories,
    which `repositories` opens. Volumes' data is not read; see `drill` for that. Nothing is written, and no lock is taken.

    What cannot be read is in the report's `unexamined`. Raises NotFoundError if there is no such bucket, StorageError…
    """
    at = now or datetime.now(timezone.utc)
    at = at.astimezone() if at.tzinfo is None else at
    repositories = repositories or Repositories(bucket)
    seen = audit_backups.look_through(bucket, repositories)
    found: list[Finding] = [*audit_backups.findings(bucket, seen, at), *audit_schedules.findings(seen, at)]
    found += audit_repositories.findings(bucket, seen, repositories, at)
    rank = {severity: number for number, severity in enumerate(Severity)}
    found.sort(key=lambda each: (rank[each.severity], each.id, each.where))
    return AuditReport(
        bucket.location, at, len(seen.backups), tuple(found), tuple(audit_schedules.retention(seen)), tuple(seen.unexamined)
    )
