"""A whole backup, brought back: into a cluster, or into a directory where there is none."""

from .into_cluster import restore_into_cluster
from .into_directory import restore_into_directory
from .report import (
    ObjectOutcome,
    Observer,
    RestoredObject,
    RestoredVolume,
    RestoreReport,
    VolumeOutcome,
)
from .wanted import Wanted, WantedVolume, wanted

__all__ = [
    "ObjectOutcome",
    "Observer",
    "RestoreReport",
    "RestoredObject",
    "RestoredVolume",
    "VolumeOutcome",
    "Wanted",
    "WantedVolume",
    "restore_into_cluster",
    "restore_into_directory",
    "wanted",
]
