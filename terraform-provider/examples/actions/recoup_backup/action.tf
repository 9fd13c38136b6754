# Terraform 1.14.1 or newer: terraform apply -invoke=action.recoup_backup.now
# OpenTofu has no actions: use the resource recoup_backup_run there.
action "recoup_backup" "now" {
  config {
    schedule = recoup_schedule.daily.id
    timeout  = "2h"
  }
}

# Before an upgrade, say: whenever the version changes.
resource "terraform_data" "upgrade" {
  input = var.application_version

  lifecycle {
    action_trigger {
      events  = [before_update]
      actions = [action.recoup_backup.now]
    }
  }
}
