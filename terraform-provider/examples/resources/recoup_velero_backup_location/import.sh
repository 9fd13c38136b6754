# NAMESPACE/NAME, or NAME alone in the provider's velero_namespace
terraform import recoup_velero_backup_location.default velero/default
