# The cluster's backups: Velero writes to the bucket velero-backups, by three schedules. All of it is left out as long as
# kubernetes_config_path is null. Velero itself is installed in the cluster already (velero install, or its Helm chart).

locals {
  has_cluster = var.kubernetes_config_path != null
}

resource "recoup_velero_backup_location" "minio" {
  count = local.has_cluster ? 1 : 0

  name                = var.velero_location
  bucket              = recoup_bucket.velero.name
  region              = var.s3_region
  s3_url              = coalesce(var.velero_s3_endpoint, var.s3_endpoint)
  s3_force_path_style = true
  credential          = var.velero_credential
  default             = true
  wait_for_available  = var.velero_wait
}

resource "recoup_velero_schedule" "this" {
  for_each = local.has_cluster ? var.velero_schedules : {}

  name     = each.key
  schedule = each.value.schedule
  # A new or changed schedule waits for its time: an apply in the afternoon starts no backup of everything.
  skip_immediately = true

  template = {
    ttl                          = each.value.keep
    storage_location             = recoup_velero_backup_location.minio[0].name
    default_volumes_to_fs_backup = true
    snapshot_volumes             = false # Mayastor's snapshots stay on the same disks
  }
}
