"""Velero's backups, read from the bucket alone: no cluster, no Velero.

    from recoup import open_objects
    from recoup.velero import VeleroBucket

    bucket = VeleroBucket(open_objects("s3:http://nas:9000/velero-backups"))
    for backup in bucket.backups():
        print(backup.name, backup.state, backup.time)

Nothing here writes into the bucket or takes a lock there. The command is `recoup velero`.
"""

from .archive import Archive, ArchiveProblem, ManifestObject
from .bucket import Backup, BackupState, RepositoryPlace, VeleroBucket, newest
from .comparison import Comparison, compare
from .contents import OpenVolume, VolumeRestore, open_volume, restore_volume
from .drill import DrillPlan, DrillProgress, drill
from .drill_report import Check, DrillReport, Outcome, VolumeDrill
from .model import BackupRecord, PodVolumeBackup, Results, Uploader, VolumeInfo
from .repositories import OpenRepository, Password, Repositories, StoredSnapshot
from .search import FoundVolume, LostBackup, find_volume, lost_backups
from .volumes import BackupVolumes, Volume, VolumeState, read_volumes, volumes_of

__all__ = [
    "Archive",
    "ArchiveProblem",
    "Backup",
    "BackupRecord",
    "BackupState",
    "BackupVolumes",
    "Check",
    "Comparison",
    "DrillPlan",
    "DrillProgress",
    "DrillReport",
    "FoundVolume",
    "LostBackup",
    "ManifestObject",
    "OpenRepository",
    "OpenVolume",
    "Outcome",
    "Password",
    "PodVolumeBackup",
    "Repositories",
    "RepositoryPlace",
    "Results",
    "StoredSnapshot",
    "Uploader",
    "VeleroBucket",
    "Volume",
    "VolumeDrill",
    "VolumeInfo",
    "VolumeRestore",
    "VolumeState",
    "compare",
    "drill",
    "find_volume",
    "lost_backups",
    "newest",
    "open_volume",
    "read_volumes",
    "restore_volume",
    "volumes_of",
]
