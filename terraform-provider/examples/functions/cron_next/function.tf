output "next_three" {
  value = provider::recoup::cron_next("CRON_TZ=Europe/Berlin 0 2 * * *", plantimestamp(), 3)
}
