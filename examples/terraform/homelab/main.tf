# A homelab's backups: both buckets, the repository, and the container that backs up every night; the cluster's are in velero.tf.
# Addresses are variables (terraform.tfvars); secrets are ephemeral variables (TF_VAR_…), in no plan and in no state.

terraform {
  required_version = ">= 1.11" # OpenTofu: 1.11, too
  required_providers {
    recoup = {
      source = "recoup/recoup"
    }
  }
}

locals {
  repository = "s3:${var.s3_endpoint}/${recoup_bucket.restic.name}"
}

provider "recoup" {
  s3 = {
    endpoint   = var.s3_endpoint
    region     = var.s3_region
    access_key = var.s3_access_key
    secret_key = var.s3_secret_key
  }
  incus = var.incus
  kubernetes = var.kubernetes_config_path == null ? null : {
    config_path      = var.kubernetes_config_path
    config_context   = var.kubernetes_config_context
    velero_namespace = var.velero_namespace
  }
  # With it, plans see whether the repository is still there and opens. The name is written out: a provider must not depend
  # on resources that it makes.
  repository_passwords = { "s3:${var.s3_endpoint}/${var.restic_bucket}" = var.restic_password }
}

# Old versions are what an attacker with the container's keys cannot remove at once; after a month they only cost space.
# A rule that expired current objects would destroy a repository.
resource "recoup_bucket" "restic" {
  name       = var.restic_bucket
  versioning = "enabled"
  lifecycle_rules = {
    old-versions = {
      noncurrent_expire_after_days  = 30
      remove_expired_delete_markers = true
    }
  }
}

resource "recoup_bucket" "velero" {
  name       = var.velero_bucket
  versioning = "enabled"
  lifecycle_rules = {
    old-versions = {
      noncurrent_expire_after_days  = 30
      remove_expired_delete_markers = true
    }
  }
}

resource "recoup_repository" "restic" {
  location            = local.repository
  password_wo         = var.restic_password
  password_wo_version = var.secrets_version
}

module "restic_lxc" {
  source = "../modules/restic-lxc"

  image       = var.image
  address     = var.container_address
  gateway     = var.container_gateway
  nameservers = var.container_nameservers
  network     = var.container_network
  mounts      = var.mounts

  paths     = var.paths
  calendar  = var.calendar
  time_zone = var.time_zone
  on_boot   = var.on_boot

  repository          = recoup_repository.restic.location
  repository_password = var.restic_password
  access_key          = var.s3_access_key
  secret_key          = var.s3_secret_key
  secrets_version     = var.secrets_version
}

output "repository" {
  value = recoup_repository.restic.location
}

output "schedule" {
  value = module.restic_lxc.schedule_id
}

output "on_calendar" {
  value = module.restic_lxc.on_calendar
}

output "drift" {
  description = "What in the container is not as it was declared, when Terraform last looked."
  value       = module.restic_lxc.drift
}
