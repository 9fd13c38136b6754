// This file turns settings into what the API server is dialled with.
package kubernetes

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

const (
	// Whoever plans is waiting: a server that does not take the connection is given up.
	dialTimeout    = 10 * time.Second
	requestTimeout = time.Minute
)

// restConfig reads the files that the settings name. Its error is an *Error.
func restConfig(from settings.Kubernetes) (*rest.Config, error) {
	var config *rest.Config
	var err error
	switch {
	case from.Host == "" && len(from.ConfigPaths) == 0:
		config, err = rest.InClusterConfig()
		if err != nil {
			return nil, &Error{Reason: Unconfigured, Message: "Nothing says where the cluster is. Set kubernetes = { config_path = " +
				"\"~/.kube/config\" } in the provider's configuration, or host and token there, or the environment variable " +
				"KUBE_CONFIG_PATH."}
		}
	case from.Host != "" && !strings.Contains(from.Host, "://"): // the library would send the credentials without TLS
		return nil, &Error{Reason: Unconfigured, Message: "KUBE_HOST is " + from.Host + ", which is not the URL of an API server. Write it as " +
			"https://10.20.0.10:6443."}
	default:
		config, err = loader(from).ClientConfig()
	}
	switch {
	case clientcmd.IsEmptyConfig(err) && len(from.ConfigPaths) > 0:
		return nil, &Error{Reason: Unconfigured, cause: err, Message: "The kubeconfig " + strings.Join(from.ConfigPaths, ", ") + " names no cluster: " +
			"it is not there, is empty, or has no current-context. Correct kubernetes.config_path, or set kubernetes.config_context. If this " +
			"apply makes the kubeconfig, let this resource depend on it."}
	case err != nil:
		return nil, unreadable(err)
	}
	config.UserAgent = "terraform-provider-recoup"
	config.Timeout = requestTimeout
	config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	config.QPS = -1 // the server itself says when it is asked too much
	config.WarningHandlerWithContext = warnings{}
	return config, nil
}

func unreadable(err error) *Error {
	return &Error{Reason: Unconfigured, cause: err, Message: "The way to the cluster cannot be read: " + err.Error() +
		". Correct the provider's kubernetes block. If this apply makes the kubeconfig, let this resource depend on it."}
}

func loader(from settings.Kubernetes) clientcmd.ClientConfig {
	rules := &clientcmd.ClientConfigLoadingRules{}
	if len(from.ConfigPaths) == 1 {
		rules.ExplicitPath = expandHome(from.ConfigPaths[0]) // it must be there
	} else {
		for _, path := range from.ConfigPaths {
			rules.Precedence = append(rules.Precedence, expandHome(path))
		}
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: from.ConfigContext}
	overrides.Context.AuthInfo, overrides.Context.Cluster = from.ConfigContextAuthInfo, from.ConfigContextCluster
	overrides.ClusterInfo.Server = from.Host
	overrides.ClusterInfo.CertificateAuthorityData = []byte(from.ClusterCACertificate)
	overrides.ClusterInfo.TLSServerName = from.TLSServerName
	overrides.ClusterInfo.ProxyURL = from.ProxyURL
	overrides.ClusterInfo.InsecureSkipTLSVerify = from.Insecure
	overrides.AuthInfo.Token = strings.TrimSpace(from.Token) // file("token") ends with a new line
	overrides.AuthInfo.ClientCertificateData = []byte(from.ClientCertificate)
	overrides.AuthInfo.ClientKeyData = []byte(from.ClientKey)
	if from.Exec.Command != "" {
		program := &clientapi.ExecConfig{APIVersion: from.Exec.APIVersion, Command: from.Exec.Command, Args: from.Exec.Args,
			InteractiveMode: clientapi.NeverExecInteractiveMode}
		for name, value := range from.Exec.Env {
			program.Env = append(program.Env, clientapi.ExecEnvVar{Name: name, Value: value})
		}
		overrides.AuthInfo.Exec = program
	}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
}

func expandHome(path string) string {
	if rest, found := strings.CutPrefix(path, "~/"); found {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// warnings are the API server's, about deprecated versions for instance.
type warnings struct{}

func (warnings) HandleWarningHeaderWithContext(ctx context.Context, _ int, _ string, text string) {
	tflog.Warn(ctx, "the Kubernetes API server warns", map[string]any{"warning": text})
}
