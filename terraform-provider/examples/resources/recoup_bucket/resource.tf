resource "recoup_bucket" "backups" {
  name       = "restic-backups"
  versioning = "enabled"

  # What forget and prune remove can be had back for 30 days, also from somebody who stole the credentials.
  lifecycle_rules = {
    "old-versions" = {
      noncurrent_expire_after_days  = 30
      remove_expired_delete_markers = true
    }
  }

  tags = {
    purpose = "backup"
  }
}

# New objects cannot be removed for 14 days, by nobody.
resource "recoup_bucket" "locked" {
  name = "restic-locked"

  object_lock = {
    mode = "compliance"
    days = 14
  }
}
