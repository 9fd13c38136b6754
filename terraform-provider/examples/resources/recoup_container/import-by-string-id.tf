import {
  to = recoup_container.restic_backup
  id = "incus:default/restic-backup"
}
