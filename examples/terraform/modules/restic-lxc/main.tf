# The container restic-backup: made, given its address, the engine, credentials and a daily backup.

terraform {
  required_version = ">= 1.11" # OpenTofu: 1.11, too: write-only attributes and ephemeral values
  required_providers {
    recoup = {
      source = "recoup/recoup"
    }
  }
}

resource "recoup_container" "this" {
  driver        = var.driver
  name          = var.name
  image         = var.image
  network       = var.network
  bridge        = var.bridge
  address       = var.address
  gateway       = var.gateway
  nameservers   = var.nameservers
  cpu           = var.cpu
  memory        = var.memory
  disk_size     = var.disk_size
  mounts        = var.mounts
  engine_bundle = var.engine_bundle
  restic_link   = true # so that the runbook's commands work as they are written: restic snapshots, restic restore
  autostart     = true
}

resource "recoup_schedule" "this" {
  target      = recoup_container.this.id
  name        = "restic-backup"
  description = "Daily backup into ${var.repository}"

  calendar         = var.calendar
  time_zone        = var.time_zone
  persistent       = true # a run that was due while the container was off is made up for
  on_boot          = var.on_boot
  randomized_delay = var.randomized_delay

  backup = {
    paths          = var.paths
    tags           = var.tags
    host           = var.name
    exclude        = var.exclude
    exclude_caches = true
  }
  retention = {
    keep_daily   = var.keep_daily
    keep_weekly  = var.keep_weekly
    keep_monthly = var.keep_monthly
    prune        = true
  }
  limits = var.limits

  environment_file = "/etc/restic.env"
  environment      = var.environment
  secret_environment_wo = {
    RESTIC_REPOSITORY     = var.repository
    RESTIC_PASSWORD       = var.repository_password
    AWS_ACCESS_KEY_ID     = var.access_key
    AWS_SECRET_ACCESS_KEY = var.secret_key
  }
  # Terraform cannot see that a write-only value changed. Another repository has to be written, too, without anybody raising
  # the version: so its name is part of the number.
  secret_environment_wo_version = var.secrets_version * 65536 + parseint(substr(sha256(var.repository), 0, 4), 16)
}
