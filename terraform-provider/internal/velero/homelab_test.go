// The cluster's part of examples/terraform/homelab, applied as it is.
package velero_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/recoup/terraform-provider-recoup/internal/acctest"
)

func TestAccHomelab(t *testing.T) {
	s := newSite(t)
	server := acctest.StartMinIO(t)
	w := acctest.NewWorkspace(t, `
provider "recoup" {
  s3 = {
    endpoint   = var.s3_endpoint
    region     = var.s3_region
    access_key = var.s3_access_key
    secret_key = var.s3_secret_key
  }
  kubernetes = var.kubernetes_config_path == null ? null : {
    config_path      = var.kubernetes_config_path
    config_context   = var.kubernetes_config_context
    velero_namespace = var.velero_namespace
  }
}

resource "recoup_bucket" "velero" {
  name = var.velero_bucket
}
`)
	for _, name := range []string{"variables.tf", "velero.tf"} {
		content, err := os.ReadFile(filepath.Join("../../../examples/terraform/homelab", name))
		if err != nil {
			t.Fatal(err)
		}
		w.Write(name, string(content))
	}
	w.Variables = []string{"TF_VAR_s3_endpoint=" + server.Endpoint, "TF_VAR_s3_access_key=" + server.AccessKey, "TF_VAR_s3_secret_key=" + server.SecretKey,
		"TF_VAR_restic_password=unused", "TF_VAR_velero_namespace=" + s.namespace, "TF_VAR_velero_wait=false"}
	acctest.MustContain(t, w.Apply(), "1 added") // without a cluster: the bucket
	w.MustBeEmpty()

	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	s.Kubeconfig(t, kubeconfig)
	w.Variables = append(w.Variables, "TF_VAR_kubernetes_config_path="+kubeconfig)
	acctest.MustContain(t, w.Apply(), "4 added")
	w.MustBeEmpty()
	for name, wanted := range map[string][2]string{"daily": {"0 2 * * *", "168h"}, "weekly": {"0 2 * * 0", "672h"}, "monthly": {"0 3 1 * *", "8760h"}} {
		s.expect("schedules", name, wanted[0], "spec", "schedule")
		s.expect("schedules", name, wanted[1], "spec", "template", "ttl")
		s.expect("schedules", name, "minio", "spec", "template", "storageLocation")
	}
	s.expect("backupstoragelocations", "minio", server.Endpoint, "spec", "config", "s3Url")
	s.expect("backupstoragelocations", "minio", "velero-backups", "spec", "objectStorage", "bucket")
	w.SearchSecrets(s.Token, server.SecretKey)
	acctest.MustContain(t, w.Destroy(), "Backups Kept", "Bucket Left in Place")
	if left := fmt.Sprint(s.List(t, "schedules", s.namespace), s.List(t, "backupstoragelocations", s.namespace)); left != "[] []" {
		t.Errorf("a destroy left %s", left)
	}
}
