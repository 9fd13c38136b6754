data "recoup_snapshots" "production" {
  location      = "s3:http://10.20.0.103:9000/restic-backups"
  password_file = "/root/restic.password"
  tags          = ["production"]
}

# A warning with every plan once the newest backup is older than two days.
check "backups_are_fresh" {
  assert {
    condition = length(data.recoup_snapshots.production.snapshots) > 0 && timecmp(
    try(reverse(data.recoup_snapshots.production.snapshots)[0].time, "1970-01-01T00:00:00Z"), timeadd(plantimestamp(), "-48h")) > 0
    error_message = "There is no backup of the last two days."
  }
}
