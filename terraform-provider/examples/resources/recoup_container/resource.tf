# The machine that backups run on: a small container of Incus with the data mounted, read-only.
resource "recoup_container" "restic_backup" {
  driver = "incus"
  name   = "restic-backup"
  image  = "images:debian/12"

  bridge      = "br0"
  address     = "10.10.0.25/24"
  gateway     = "10.10.0.1"
  nameservers = ["10.10.0.1"]

  cpu       = 2
  memory    = "1GiB"
  disk_size = "20GiB"

  mounts = {
    photos    = { source = "/tank/photos", path = "/srv/photos" }
    documents = { source = "/tank/documents", path = "/srv/documents" }
  }

  files = {
    "/etc/motd" = { content = "Backups run here; see `systemctl list-timers`.\n", mode = "0644" }
  }
}

# What runs in it: target = recoup_container.restic_backup.id

# The same on Proxmox VE.
resource "recoup_container" "on_proxmox" {
  driver       = "proxmox"
  name         = "restic-backup"
  vmid         = 125
  image        = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"
  storage_pool = "local-lvm"
  disk_size    = "20GiB"
  bridge       = "vmbr0"
  address      = "10.10.0.26/24"
  gateway      = "10.10.0.1"

  mounts = {
    photos = { source = "/tank/photos", path = "/srv/photos" }
  }
}

# A host that is there already: it gets the engine, and nothing else is touched.
resource "recoup_container" "file_server" {
  driver = "ssh"
  name   = "file-server"
  host   = "ssh://root@10.10.0.30"
}
