# A backup when the schedule is new, and whenever what it backs up is declared anew.
resource "recoup_backup_run" "first" {
  schedule = recoup_schedule.daily.id
  triggers = {
    paths = join(",", recoup_schedule.daily.backup.paths)
  }
  timeout = "2h"
}

output "snapshot" {
  value = recoup_backup_run.first.snapshot_id
}
