// Package acctest has what the acceptance tests share. They run where TF_ACC is set, against real programs: Terraform or
// OpenTofu (TF_ACC_TERRAFORM_PATH), MinIO (MINIO), the engine (RECOUP). Use it from external test packages (bucket_test): it
// imports the provider, which imports every resource.
package acctest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/echoprovider"

	"github.com/recoup/terraform-provider-recoup/internal/engine"
	"github.com/recoup/terraform-provider-recoup/internal/provider"
)

// Factories serve the provider inside the test's process.
var Factories = map[string]func() (tfprotov6.ProviderServer, error){
	"recoup": providerserver.NewProtocol6WithError(provider.New("test")()),
}

// FactoriesWithEcho also serve "echo", which writes ephemeral values into state where a test can look at them.
var FactoriesWithEcho = map[string]func() (tfprotov6.ProviderServer, error){
	"recoup": providerserver.NewProtocol6WithError(provider.New("test")()),
	"echo":   echoprovider.NewProviderServer(),
}

// PreCheck skips acceptance tests where TF_ACC is not set, and makes the engine that RECOUP names the one that the provider
// finds. With TF_ACC set a missing program fails the test: a test that was asked for must not pass by not running.
func PreCheck(t *testing.T) {
	t.Helper()
	if os.Getenv("TF_ACC") == "" {
		t.Skip("acceptance tests run where TF_ACC is set")
	}
	// Whoever runs the tests may have told Terraform of mirrors; and OpenTofu's version cannot be read behind its warning of a
	// file that is not there.
	if err := os.Unsetenv("TF_CLI_CONFIG_FILE"); err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("RECOUP"); path != "" && os.Getenv(engine.EnvironmentVariable) != path {
		// For the whole process, not by t.Setenv, which parallel tests may not use; it is the same for all.
		if err := os.Setenv(engine.EnvironmentVariable, path); err != nil {
			t.Fatal(err)
		}
	}
}

// UsingOpenTofu says whether the tests run OpenTofu, for what the two do not do alike.
func UsingOpenTofu() bool {
	return strings.Contains(filepath.Base(os.Getenv("TF_ACC_TERRAFORM_PATH")), "tofu")
}

// Program gives the executable that an environment variable names, and fails the test where it is not set.
func Program(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: it must name the executable (tools/s3-servers.sh and tools/restic.sh print such "+
			"settings)", variable)
	}
	return path
}
