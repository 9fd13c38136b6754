terraform {
  required_version = ">= 1.11" # OpenTofu likewise: write-only attributes and ephemeral values

  required_providers {
    recoup = {
      source = "recoup/recoup"
    }
  }
}

variable "s3_secret_key" {
  type      = string
  ephemeral = true # in no plan and no state
}

provider "recoup" {
  s3 = {
    endpoint   = "http://10.20.0.103:9000"
    access_key = "backup"
    secret_key = var.s3_secret_key # or leave both out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
  }
}
