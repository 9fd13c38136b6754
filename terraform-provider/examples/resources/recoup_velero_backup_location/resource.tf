resource "recoup_bucket" "velero" {
  name = "velero-backups"
}

resource "recoup_velero_backup_location" "minio" {
  name                = "minio"
  bucket              = recoup_bucket.velero.name
  region              = "minio"
  s3_url              = "http://10.20.0.103:9000" # as pods of the cluster reach it
  s3_force_path_style = true

  # A Secret in Velero's namespace; its content does not pass through Terraform.
  credential = {
    name = "cloud-credentials"
    key  = "cloud"
  }

  default            = true
  wait_for_available = true
}
