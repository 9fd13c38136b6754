import {
  to = recoup_schedule.daily
  id = "ssh://root@10.10.0.25#restic-backup"
}
