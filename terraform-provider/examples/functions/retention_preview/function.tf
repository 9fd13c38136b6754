locals {
  # A year of daily backups at two o'clock.
  times = [for day in range(365) : timeadd("2026-01-01T02:00:00Z", "${day * 24}h")]

  preview = provider::recoup::retention_preview({ keep_daily = 7, keep_weekly = 4, keep_monthly = 12 }, local.times)
}

output "number_kept" {
  value = length(local.preview.keep)
}
