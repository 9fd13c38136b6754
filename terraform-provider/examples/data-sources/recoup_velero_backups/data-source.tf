data "recoup_velero_backups" "daily" {
  bucket   = "velero-backups"
  schedule = "daily"
}

output "not_restorable" {
  value = { for backup in data.recoup_velero_backups.daily.backups : backup.name => backup.state if !backup.restorable }
}

check "there_is_a_recent_backup" {
  assert {
    condition = anytrue([for backup in data.recoup_velero_backups.daily.backups :
    timecmp(backup.started_at, timeadd(plantimestamp(), "-26h")) > 0 if backup.restorable])
    error_message = "There is no backup of the last 26 hours that can be restored."
  }
}
