import {
  to = recoup_repository.backups
  id = "s3:http://10.20.0.103:9000/restic-backups"
}
