data "recoup_bucket_usage" "backups" {
  name = "restic-backups"
}

output "bytes_in_old_versions" {
  value = data.recoup_bucket_usage.backups.version_bytes
}
