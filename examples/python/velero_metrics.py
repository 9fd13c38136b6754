"""What Prometheus should know of Velero's backups, from the bucket alone, for node_exporter's textfile collector.

    pip install prometheus-client
    python velero_metrics.py s3:http://nas.example:9000/velero-backups /var/lib/node_exporter/velero.prom

Velero's own velero_backup_last_status is 1 again seconds after a backup has failed, counts a backup without data as a success, and
is silent when Velero does not run. What is in the bucket stays true: alert on

    time() - velero_bucket_newest_good_backup_timestamp_seconds > 26 * 3600
    velero_bucket_volume_has_copy == 0
"""

import sys

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

import recoup
from recoup.velero import VeleroBucket, schedules_of, volumes_of


def main(location: str, file: str) -> int:
    registry = CollectorRegistry()
    newest = Gauge("velero_bucket_newest_backup_timestamp_seconds", "When it began, good or not.", ["schedule"], registry=registry)
    good = Gauge("velero_bucket_newest_good_backup_timestamp_seconds", "When the newest one without errors began; 0: there is none.",
                 ["schedule"], registry=registry)  # fmt: skip
    copies = Gauge("velero_bucket_volume_has_copy", "Whether the schedule's newest backup can bring the volume's data back.",
                   ["schedule", "volume", "state"], registry=registry)  # fmt: skip
    try:
        with VeleroBucket.open(location) as bucket:
            backups = bucket.backups()
            for schedule in schedules_of(backups):
                its = [backup for backup in backups if backup.schedule == schedule.name]
                newest.labels(schedule.name).set(schedule.newest.timestamp() if schedule.newest else 0)
                good.labels(schedule.name).set(schedule.newest_good.timestamp() if schedule.newest_good else 0)
                for volume in volumes_of(bucket, its[-1]) if its else []:
                    copies.labels(schedule.name, volume.name, volume.state).set(volume.has_copy)
    except recoup.Error as problem:
        print(f"velero_metrics.py: {problem}", file=sys.stderr)
        return problem.exit_code
    write_to_textfile(file, registry)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
