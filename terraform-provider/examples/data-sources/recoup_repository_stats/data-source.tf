data "recoup_repository_stats" "stored" {
  location      = "s3:http://10.20.0.103:9000/restic-backups"
  password_file = "/root/restic.password"
  mode          = "raw-data"
}

output "stored_gib" {
  value = data.recoup_repository_stats.stored.total_size / 1024 / 1024 / 1024
}
