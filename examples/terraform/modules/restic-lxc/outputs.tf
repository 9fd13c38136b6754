output "container_id" {
  description = "Address of the container, for further schedules in it."
  value       = recoup_container.this.id
}

output "schedule_id" {
  description = "For recoup_backup_run."
  value       = recoup_schedule.this.id
}

output "on_calendar" {
  description = "When it runs, as it is in the timer."
  value       = recoup_schedule.this.on_calendar
}

output "drift" {
  description = "What in the container is not as it was declared, when Terraform last looked."
  value       = recoup_schedule.this.drift
}
