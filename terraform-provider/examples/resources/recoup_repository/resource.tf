# The password is read from where it is kept; neither plan nor state ever has it.
ephemeral "recoup_repository_key" "backups" {
  password_command = "pass show backup/restic"
}

variable "laptop_password" {
  type      = string
  ephemeral = true
}

resource "recoup_repository" "backups" {
  location            = "s3:http://10.20.0.103:9000/${recoup_bucket.backups.name}"
  password_wo         = ephemeral.recoup_repository_key.backups.password
  password_wo_version = 1

  # Further passwords that open it. Removing one here takes it away.
  extra_keys = {
    laptop = {
      password_wo         = var.laptop_password
      password_wo_version = 1
      user                = "anna"
      host                = "laptop"
    }
  }
}

# To change the password: put the new one where the old one was, and raise the number.
#
#   password_wo          = (the new one)
#   password_wo_version  = 2
#   previous_password_wo = (the old one)   # remove it after the apply

# A second copy elsewhere, that stores what both have in common in the same pieces.
resource "recoup_repository" "copy" {
  location      = "/mnt/usb/restic"
  password_file = "/root/restic-usb.password"

  copy_chunker_parameters_from = {
    location    = recoup_repository.backups.location
    password_wo = ephemeral.recoup_repository_key.backups.password
  }
}
