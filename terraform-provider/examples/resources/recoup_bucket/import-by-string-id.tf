import {
  to = recoup_bucket.backups
  id = "restic-backups"
}
