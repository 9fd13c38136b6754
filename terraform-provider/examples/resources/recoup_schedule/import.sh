# TARGET#NAME. The secrets are not read: the first apply after the import writes those of the configuration.
terraform import recoup_schedule.daily 'ssh://root@10.10.0.25#restic-backup'
