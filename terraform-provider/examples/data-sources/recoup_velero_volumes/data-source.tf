data "recoup_velero_volumes" "newest" {
  bucket   = "velero-backups"
  schedule = "daily" # the newest of its backups that can be restored
}

# Velero calls a backup Completed that holds none of these.
output "without_data" {
  value = { for volume in data.recoup_velero_volumes.newest.volumes :
  "${volume.namespace}/${coalesce(volume.claim, volume.volume)}" => coalesce(volume.reason, volume.state) if !volume.restorable }
}
