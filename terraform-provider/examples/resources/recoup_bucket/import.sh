terraform import recoup_bucket.backups restic-backups
