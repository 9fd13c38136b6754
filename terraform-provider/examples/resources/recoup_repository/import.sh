terraform import recoup_repository.backups s3:http://10.20.0.103:9000/restic-backups
