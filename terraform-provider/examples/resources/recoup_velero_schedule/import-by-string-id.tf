import {
  to = recoup_velero_schedule.daily
  id = "velero/daily"
}
