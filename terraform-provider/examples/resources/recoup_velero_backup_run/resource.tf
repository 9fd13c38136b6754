# A backup before each change of the database's version.
resource "recoup_velero_backup_run" "before_upgrade" {
  schedule = recoup_velero_schedule.daily.id
  triggers = { postgres = var.postgres_version }
  timeouts = { create = "2h" }
}
