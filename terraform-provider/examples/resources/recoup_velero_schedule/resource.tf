resource "recoup_velero_schedule" "daily" {
  name             = "daily"
  schedule         = "0 2 * * *"
  skip_immediately = true

  template = {
    excluded_namespaces          = ["kube-system"]
    ttl                          = "168h" # 7 days
    storage_location             = recoup_velero_backup_location.minio.name
    default_volumes_to_fs_backup = true
    snapshot_volumes             = false
  }
}

resource "recoup_velero_schedule" "databases" {
  name     = "databases"
  schedule = "CRON_TZ=Europe/Berlin 30 1 * * *"

  template = {
    label_selector = {
      match_expressions = [{ key = "app", operator = "In", values = ["postgres", "mariadb"] }]
    }
    ttl = "672h" # 28 days
    hooks = jsonencode({
      resources = [{
        name               = "checkpoint"
        includedNamespaces = ["db"]
        pre                = [{ exec = { command = ["psql", "-c", "CHECKPOINT"], timeout = "1m" } }]
      }]
    })
  }
}
