// What Velero parses schedules with, up to 1.18.
module recoup.test/robfig_cron

go 1.23
require github.com/robfig/cron/v3 v3.0.1
