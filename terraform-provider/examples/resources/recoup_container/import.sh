# By the address that is also its id: incus:PROJECT/NAME, lxd:PROJECT/NAME, proxmox:NODE/VMID or ssh://[user@]host[:port].
terraform import recoup_container.restic_backup incus:default/restic-backup
