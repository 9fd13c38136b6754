import {
  to = recoup_velero_backup_location.default
  id = "velero/default"
}
