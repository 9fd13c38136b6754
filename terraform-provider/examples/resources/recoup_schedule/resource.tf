variable "repository_password" {
  type      = string
  sensitive = true
  ephemeral = true
}

variable "s3_secret_key" {
  type      = string
  sensitive = true
  ephemeral = true
}

# Every day at 2:00, and a quarter of an hour after each boot; kept for 7 days, 4 weeks and 12 months.
resource "recoup_schedule" "daily" {
  target = recoup_container.restic.id # or "ssh://root@10.10.0.25", or "local"

  backup = {
    paths          = ["/srv", "/etc"]
    tags           = ["production"]
    exclude        = ["*.tmp"]
    exclude_caches = true
  }

  calendar         = ["0 2 * * *"]
  time_zone        = "Europe/Berlin"
  persistent       = true
  on_boot          = "15min"
  randomized_delay = "10min"

  retention = {
    keep_daily   = 7
    keep_weekly  = 4
    keep_monthly = 12
  }
  check = { read_data_subset = "2%" }

  limits = {
    cpu_quota  = "50%"
    memory_max = "1G"
    timeout    = "12h"
  }

  # What is no secret is in the unit and in the state; what is one only in /etc/restic.env on the target.
  environment = {
    RESTIC_REPOSITORY = "s3:http://10.20.0.103:9000/restic-backups"
  }
  secret_environment_wo = {
    RESTIC_PASSWORD       = var.repository_password
    AWS_ACCESS_KEY_ID     = "restic"
    AWS_SECRET_ACCESS_KEY = var.s3_secret_key
  }
  secret_environment_wo_version = 1
}

# Another schedule of the same machine reads the same file: it gives no secrets, so that it never writes it.
resource "recoup_schedule" "databases" {
  target          = recoup_schedule.daily.target
  name            = "database-backup"
  backup          = { paths = ["/var/backups/databases"] }
  calendar        = ["@hourly"]
  commands_before = [["/usr/local/bin/dump-databases"]]
  environment     = recoup_schedule.daily.environment
  retention       = { keep_hourly = 48 }
}
