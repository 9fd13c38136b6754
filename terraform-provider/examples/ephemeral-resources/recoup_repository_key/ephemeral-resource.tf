ephemeral "recoup_repository_key" "backups" {
  password_file = "/root/restic.password"

  # A password that does not open it is an error before anything is changed. Where there is no repository yet, any will do.
  location = "s3:http://10.20.0.103:9000/restic-backups"
}

resource "recoup_repository" "backups" {
  location            = "s3:http://10.20.0.103:9000/restic-backups"
  password_wo         = ephemeral.recoup_repository_key.backups.password
  password_wo_version = 1
}
