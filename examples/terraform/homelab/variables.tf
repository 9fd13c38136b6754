variable "s3_endpoint" {
  description = "URL of the S3 server, as both this machine and the container reach it."
  type        = string
  default     = "http://10.20.0.103:9000"
}

variable "s3_region" {
  type    = string
  default = "us-east-1"
}

variable "restic_bucket" {
  type    = string
  default = "restic-backups"
}

variable "velero_bucket" {
  type    = string
  default = "velero-backups"
}

variable "incus" {
  description = "How Incus is reached; null: on this machine. Over the network: address, client_certificate_file, client_key_file, server_fingerprint."
  type = object({
    socket                  = optional(string)
    address                 = optional(string)
    client_certificate_file = optional(string)
    client_key_file         = optional(string)
    server_fingerprint      = optional(string)
    project                 = optional(string)
  })
  default = null
}

variable "image" {
  type    = string
  default = "images:debian/12"
}

variable "container_address" {
  type    = string
  default = "10.10.0.25/24"
}

variable "container_gateway" {
  type    = string
  default = "10.10.0.1"
}

variable "container_nameservers" {
  type    = list(string)
  default = null
}

variable "container_network" {
  description = "Managed network of Incus; null: what the default profile says."
  type        = string
  default     = null
}

variable "mounts" {
  description = "Directories of the host to back up, by a name of your choice."
  type = map(object({
    source    = string
    path      = string
    read_only = optional(bool, true)
    shift     = optional(bool)
  }))
  default = {}
}

variable "paths" {
  description = "What is backed up: paths in the container."
  type        = list(string)
  default     = ["/etc", "/srv"]
}

variable "calendar" {
  type    = list(string)
  default = ["0 2 * * *"]
}

variable "time_zone" {
  description = "Time zone that calendar is meant in; null: the container's."
  type        = string
  default     = null
}

variable "on_boot" {
  description = "One run so long after each boot, too; null: none."
  type        = string
  default     = "15min"
}

variable "s3_access_key" {
  type      = string
  sensitive = true
  ephemeral = true
}

variable "s3_secret_key" {
  type      = string
  sensitive = true
  ephemeral = true
}

variable "restic_password" {
  description = "Password of the repository. Keep it elsewhere, too: without it the backups are lost."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "secrets_version" {
  description = "Raise it when a secret has changed: Terraform cannot see that."
  type        = number
  default     = 1
}

variable "kubernetes_config_path" {
  description = "Kubeconfig of the cluster that Velero runs in; null: there is none."
  type        = string
  default     = null
}

variable "kubernetes_config_context" {
  description = "Context of the kubeconfig; null: its current one."
  type        = string
  default     = null
}

variable "velero_namespace" {
  type    = string
  default = "velero"
}

variable "velero_location" {
  description = "Name of the backup location. Velero's installation often has made one called default: import that one, or choose another name."
  type        = string
  default     = "minio"
}

variable "velero_s3_endpoint" {
  description = "URL of the S3 server, as pods of the cluster reach it; null: s3_endpoint."
  type        = string
  default     = null
}

variable "velero_credential" {
  description = "Secret in Velero's namespace with the S3 credentials, and which of its entries; null: what Velero was installed with."
  type = object({
    name = string
    key  = string
  })
  default = null
}

variable "velero_wait" {
  description = "Whether an apply waits until Velero has found the location usable."
  type        = bool
  default     = true
}

variable "velero_schedules" {
  description = "When the cluster is backed up, in the time zone of Velero's server (mostly UTC), and how long that is kept."
  type = map(object({
    schedule = string
    keep     = string
  }))
  default = {
    daily   = { schedule = "0 2 * * *", keep = "168h" }  # 7 days
    weekly  = { schedule = "0 2 * * 0", keep = "672h" }  # 28 days
    monthly = { schedule = "0 3 1 * *", keep = "8760h" } # 365 days
  }
}
