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
from .model import BackupRecord, PodVolumeBackup, Results, Uploader, VolumeInfo

__all__ = [
    "Archive",
    "ArchiveProblem",
    "Backup",
    "BackupRecord",
    "BackupState",
    "ManifestObject",
    "PodVolumeBackup",
    "RepositoryPlace",
    "Results",
    "Uploader",
    "VeleroBucket",
    "VolumeInfo",
    "newest",
]
