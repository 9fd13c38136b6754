"""Velero's backups, read from the bucket alone: no cluster, no Velero.

    from recoup.velero import Repositories, VeleroBucket, find_volume, open_volume

    bucket = VeleroBucket.open("s3:http://nas:9000/velero-backups")
    for backup in bucket.backups():
        print(backup.name, backup.state, backup.time)

    volume = find_volume(bucket, "db/data-postgres-0").volume
    open_volume(Repositories(bucket), volume).restore("/srv/restore").raise_for_errors()

Nothing here writes into the bucket or takes a lock there. What needs more than the bucket is imported by itself:
recoup.velero.restore (a whole backup, into a directory or a cluster), recoup.velero.cluster (Velero through the Kubernetes API; needs
recoup[kubernetes]), recoup.velero.mounting (needs recoup[mount]). The command is `recoup velero`.
"""

from .archive import Archive, ArchiveProblem, ManifestObject
from .audit import audit
from .audit_report import AuditReport, Finding, Retention, Severity
from .bucket import Backup, BackupState, RepositoryPlace, VeleroBucket, newest
from .comparison import Comparison, compare
from .contents import OpenVolume, VolumeRestore, open_volume
from .drill import DrillPlan, DrillProgress, drill
from .drill_report import Check, DrillReport, Outcome, VolumeDrill
from .manifest_files import to_yaml, write_directory
from .manifests import LeftOut, Plan, PlannedObject, Selection, plan_restore
from .model import BackupRecord, PodVolumeBackup, Results, Uploader, VolumeInfo
from .repositories import OpenRepository, Password, Repositories, StoredSnapshot
from .schedules import Schedule, schedules_of
from .search import FoundVolume, LostBackup, find_volume, lost_backups
from .selectors import LabelSelector
from .stripping import Changes
from .volumes import BackupVolumes, Volume, VolumeState, read_volumes, volumes_of

__all__ = [
    "Archive",
    "ArchiveProblem",
    "AuditReport",
    "Backup",
    "BackupRecord",
    "BackupState",
    "BackupVolumes",
    "Changes",
    "Check",
    "Comparison",
    "DrillPlan",
    "DrillProgress",
    "DrillReport",
    "Finding",
    "FoundVolume",
    "LabelSelector",
    "LeftOut",
    "LostBackup",
    "ManifestObject",
    "OpenRepository",
    "OpenVolume",
    "Outcome",
    "Password",
    "Plan",
    "PlannedObject",
    "PodVolumeBackup",
    "Repositories",
    "RepositoryPlace",
    "Results",
    "Retention",
    "Schedule",
    "Selection",
    "Severity",
    "StoredSnapshot",
    "Uploader",
    "VeleroBucket",
    "Volume",
    "VolumeDrill",
    "VolumeInfo",
    "VolumeRestore",
    "VolumeState",
    "audit",
    "compare",
    "drill",
    "find_volume",
    "lost_backups",
    "newest",
    "open_volume",
    "plan_restore",
    "read_volumes",
    "schedules_of",
    "to_yaml",
    "volumes_of",
    "write_directory",
]
