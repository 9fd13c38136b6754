// Package settings is what the provider's configuration says, as plain values. Nothing here dials a server.
package settings

// Settings is shared by every resource of one provider instance.
type Settings struct {
	EnginePath string // "": RECOUP_ENGINE, beside the provider, or PATH
	// EngineEnvironment names the variables that the engine inherits beside those that every program needs.
	EngineEnvironment []string
	// RepositoryPasswords are by location. They must not get into state or logs.
	RepositoryPasswords map[string]string
	S3                  S3
	Incus               LXDServer
	LXD                 LXDServer
	Proxmox             Proxmox
	SSH                 SSH
	Kubernetes          Kubernetes
}

// S3 is docs/engine.md's parameter "s3".
type S3 struct {
	Endpoint     string `json:"endpoint,omitempty"`
	Region       string `json:"region,omitempty"`
	AccessKey    string `json:"access_key,omitempty"`
	SecretKey    string `json:"secret_key,omitempty"`
	SessionToken string `json:"session_token,omitempty"`
	BucketLookup string `json:"bucket_lookup,omitempty"`
	CAFile       string `json:"ca_file,omitempty"`
	InsecureTLS  bool   `json:"insecure_tls,omitempty"`
}

// LXDServer is an Incus or LXD daemon: on a unix socket, or over TLS with a client certificate.
type LXDServer struct {
	Socket                string // default: where the distribution's package puts it
	Address               string // https://host:8443; excludes Socket
	ClientCertificateFile string
	ClientKeyFile         string
	ServerFingerprint     string // SHA-256 of the server's certificate, hexadecimal; or CAFile
	CAFile                string
	Project               string // default: "default"
}

// Proxmox is a Proxmox VE API and the SSH access to its nodes that its API has no substitute for.
type Proxmox struct {
	Endpoint    string // https://host:8006
	APIToken    string // USER@REALM!TOKENID=UUID
	Node        string
	CAFile      string
	InsecureTLS bool
	SSHHost     string // default: the host of Endpoint
	SSHUser     string // default: root
	SSHPort     int    // default: 22
}

// SSH says how hosts are logged into.
type SSH struct {
	PrivateKeyFile string
	PrivateKey     string // from an ephemeral value; in memory only
	UseAgent       bool
	KnownHostsFile string            // default: ~/.ssh/known_hosts
	HostKeys       map[string]string // host -> "ssh-ed25519 AAAA…", instead of the file
	Sudo           bool              // where the user is not root
}

// Kubernetes is the cluster that Velero runs in, as the official provider "kubernetes" is told of one.
type Kubernetes struct {
	ConfigPaths           []string // kubeconfig files; "~" is not expanded yet
	ConfigContext         string
	ConfigContextAuthInfo string
	ConfigContextCluster  string
	Host                  string // https://host:6443
	Token                 string
	ClientCertificate     string // PEM, as are the next two
	ClientKey             string
	ClusterCACertificate  string
	TLSServerName         string
	ProxyURL              string
	Insecure              bool
	Exec                  KubernetesExec
	VeleroNamespace       string // "": DefaultVeleroNamespace
}

// KubernetesExec is a program that prints credentials. Without a Command there is none.
type KubernetesExec struct {
	APIVersion string
	Command    string
	Args       []string
	Env        map[string]string
}

// DefaultVeleroNamespace is where Velero is installed if nobody says otherwise.
const DefaultVeleroNamespace = "velero"
