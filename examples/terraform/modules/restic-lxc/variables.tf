variable "name" {
  description = "Name of the container, and the host that its snapshots name."
  type        = string
  default     = "restic-backup"
}

variable "driver" {
  description = "What makes the container: incus, lxd or proxmox."
  type        = string
  default     = "incus"
}

variable "image" {
  description = "Image with systemd: images:debian/12 with incus and lxd, local:vztmpl/… with proxmox."
  type        = string
  default     = "images:debian/12"
}

variable "address" {
  description = "Static address with the length of its prefix."
  type        = string
  default     = "10.10.0.25/24"
}

variable "gateway" {
  description = "Default gateway; null: none."
  type        = string
  default     = null
}

variable "nameservers" {
  description = "Name servers; null: those of the image."
  type        = list(string)
  default     = null
}

variable "network" {
  description = "Managed network of Incus or LXD; null: what the profiles say."
  type        = string
  default     = null
}

variable "bridge" {
  description = "Bridge of the host, instead of a managed network."
  type        = string
  default     = null
}

variable "cpu" {
  description = "Number of processors; null: all."
  type        = number
  default     = 2
}

variable "memory" {
  description = "Limit of memory."
  type        = string
  default     = "1GiB"
}

variable "disk_size" {
  description = "Size of the root disk; null: the storage's default."
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

variable "engine_bundle" {
  description = "The engine to install, if not the one beside the provider."
  type        = string
  default     = null
}

variable "paths" {
  description = "What is backed up: paths in the container."
  type        = list(string)
}

variable "exclude" {
  description = "Patterns of what is left out."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of each snapshot."
  type        = list(string)
  default     = ["production"]
}

variable "calendar" {
  description = "When, as cron expressions or systemd calendar events."
  type        = list(string)
  default     = ["0 2 * * *"]
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

variable "randomized_delay" {
  description = "Each run starts up to so much later; null: on time."
  type        = string
  default     = null
}

variable "keep_daily" {
  type    = number
  default = 7
}

variable "keep_weekly" {
  type    = number
  default = 4
}

variable "keep_monthly" {
  type    = number
  default = 12
}

variable "limits" {
  description = "What a run may use of the machine."
  type = object({
    cpu_quota  = optional(string)
    memory_max = optional(string)
    io_weight  = optional(number)
    nice       = optional(number)
    timeout    = optional(string)
  })
  default = { nice = 10, timeout = "12h" }
}

variable "environment" {
  description = "Variables of the backup that are no secrets."
  type        = map(string)
  default     = {}
}

variable "repository" {
  description = "Location of the repository, as restic writes it."
  type        = string
}

variable "repository_password" {
  type      = string
  sensitive = true
  ephemeral = true
}

variable "access_key" {
  description = "S3 credentials that the container uses."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "secret_key" {
  type      = string
  sensitive = true
  ephemeral = true
}

variable "secrets_version" {
  description = "Raise it when the password or a key has changed: Terraform cannot see that."
  type        = number
  default     = 1
}
