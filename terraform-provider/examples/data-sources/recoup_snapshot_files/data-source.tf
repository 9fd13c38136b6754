data "recoup_snapshot_files" "etc" {
  location      = "s3:http://10.20.0.103:9000/restic-backups"
  password_file = "/root/restic.password"
  hosts         = ["web"]
  below         = ["/etc"]
}

output "backed_up_etc" {
  value = data.recoup_snapshot_files.etc.files[*].path
}
