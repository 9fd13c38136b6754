output "timer" {
  value = provider::recoup::oncalendar("30 2 * * mon-fri") # ["Mon..Fri *-*-* 02:30:00"]
}
