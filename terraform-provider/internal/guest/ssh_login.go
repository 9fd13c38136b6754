// Logging in to a host over SSH: who we are, and how the host is known.

package guest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// LoginError is a mistake in how a host is logged in to. Attribute is the provider's, as "ssh.private_key_file".
type LoginError struct {
	Attribute string
	Message   string
}

// Error says what is wrong and what would be right.
func (e *LoginError) Error() string { return e.Message }

// authentication collects keys. The agent's connection is closed by the returned function.
func authentication(from settings.SSH) ([]ssh.AuthMethod, func(), error) {
	closing := func() {}
	var signers []ssh.Signer
	switch {
	case from.PrivateKey != "":
		signer, err := parseKey([]byte(from.PrivateKey), "ssh.private_key", "the provider's ssh.private_key")
		if err != nil {
			return nil, closing, err
		}
		signers = append(signers, signer)
	case from.PrivateKeyFile != "":
		signer, err := readKey(expandHome(from.PrivateKeyFile))
		if err != nil {
			return nil, closing, err
		}
		signers = append(signers, signer)
	default:
		for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
			if signer, err := readKey(expandHome("~/.ssh/" + name)); err == nil {
				signers = append(signers, signer)
			}
		}
	}
	socket := os.Getenv("SSH_AUTH_SOCK")
	if from.UseAgent && socket != "" {
		connection, err := net.Dial("unix", socket)
		if err != nil {
			return nil, closing, &LoginError{"ssh.use_agent", fmt.Sprintf("The SSH agent at SSH_AUTH_SOCK=%s does not answer: %v. Start it, or set the provider's ssh.private_key_file", socket, err)}
		}
		closing = func() { _ = connection.Close() }
		keys, err := agent.NewClient(connection).Signers()
		if err != nil {
			closing()
			return nil, func() {}, &LoginError{"ssh.use_agent", fmt.Sprintf("The SSH agent gives no keys: %v", err)}
		}
		signers = append(signers, keys...)
	}
	if len(signers) == 0 {
		return nil, closing, &LoginError{"ssh.private_key_file", "There is no key to log in with: neither the provider's ssh.private_key_file nor ssh.private_key is set, " +
			"~/.ssh has none without a passphrase, and no agent offers one. Set one of them, or load a key with `ssh-add`"}
	}
	return []ssh.AuthMethod{ssh.PublicKeys(signers...)}, closing, nil
}

func readKey(file string) (ssh.Signer, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &LoginError{"ssh.private_key_file", fmt.Sprintf("The private key can't be read: %v. Correct the provider's ssh.private_key_file", err)}
	}
	return parseKey(pem, "ssh.private_key_file", file)
}

func parseKey(pem []byte, attribute, where string) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, &LoginError{attribute, fmt.Sprintf("The private key in %s has a passphrase. Load it into the agent with `ssh-add` and set the provider's ssh.use_agent instead", where)}
	case err != nil:
		// The parser's own words could repeat parts of the key.
		return nil, &LoginError{attribute, fmt.Sprintf("What is in %s is not a private key in OpenSSH's or PEM format", where)}
	}
	return signer, nil
}

func expandHome(file string) string {
	if rest, found := strings.CutPrefix(file, "~/"); found {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return file
}

// hostKeys gives the check of a host's key, and the kinds of keys that are known of it: a server has several, and must be
// asked for one that can be compared.
func hostKeys(from settings.SSH, host string, port int) (ssh.HostKeyCallback, []string, error) {
	endpoint := net.JoinHostPort(host, fmt.Sprint(port))
	if len(from.HostKeys) > 0 {
		return pinnedKeys(from, host, endpoint)
	}
	file := from.KnownHostsFile
	if file == "" {
		file = "~/.ssh/known_hosts"
	}
	file = expandHome(file)
	check, err := knownhosts.New(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, &LoginError{"ssh.known_hosts_file", fmt.Sprintf("There is no file %s that the key of %s could be checked against. Make it with `ssh-keyscan -p %d %s >> %s` after comparing the key, "+
			"or set the provider's ssh.host_keys", file, endpoint, port, host, file)}
	}
	if err != nil {
		return nil, nil, &LoginError{"ssh.known_hosts_file", fmt.Sprintf("%s is not understood: %v", file, err)}
	}
	algorithms := knownAlgorithms(check, endpoint)
	explained := func(hostname string, remote net.Addr, key ssh.PublicKey) error {
		err := check(hostname, remote, key)
		var mismatch *knownhosts.KeyError
		if !errors.As(err, &mismatch) {
			return err
		}
		if len(mismatch.Want) == 0 {
			return &LoginError{"ssh.known_hosts_file", fmt.Sprintf("%s is not in %s. It presents %s (%s): if that is right, add it with `ssh-keyscan -p %d %s >> %s` or to the provider's ssh.host_keys",
				endpoint, file, ssh.FingerprintSHA256(key), key.Type(), port, host, file)}
		}
		return wrongKey(endpoint, key, fmt.Sprintf("%s:%d", mismatch.Want[0].Filename, mismatch.Want[0].Line), "ssh.known_hosts_file")
	}
	return explained, algorithms, nil
}

func pinnedKeys(from settings.SSH, host, endpoint string) (ssh.HostKeyCallback, []string, error) {
	text, found := from.HostKeys[endpoint]
	if !found {
		text, found = from.HostKeys[host]
	}
	if !found {
		known := make([]string, 0, len(from.HostKeys))
		for name := range from.HostKeys {
			known = append(known, name)
		}
		sort.Strings(known)
		return nil, nil, &LoginError{"ssh.host_keys", fmt.Sprintf("The provider's ssh.host_keys has no key for %q (it has %s): add `\"%s\" = \"ssh-ed25519 AAAA…\"`, the host's /etc/ssh/ssh_host_ed25519_key.pub",
			host, strings.Join(known, ", "), host)}
	}
	wanted, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		return nil, nil, &LoginError{"ssh.host_keys", fmt.Sprintf("The key of %q in the provider's ssh.host_keys is not of the form \"ssh-ed25519 AAAA…\"", host)}
	}
	check := ssh.FixedHostKey(wanted)
	return func(hostname string, remote net.Addr, key ssh.PublicKey) error {
		if check(hostname, remote, key) != nil {
			return wrongKey(endpoint, key, "the provider's ssh.host_keys", "ssh.host_keys")
		}
		return nil
	}, signaturesOf(wanted.Type()), nil
}

func wrongKey(endpoint string, key ssh.PublicKey, where, attribute string) error {
	return &LoginError{attribute, fmt.Sprintf("%s presents the key %s (%s), which is not the one in %s. If the host was set up anew, replace the key there; if not, somebody else answers at this address",
		endpoint, ssh.FingerprintSHA256(key), key.Type(), where)}
}

// unknownKey is a key that no file has: asking for it makes knownhosts tell what it has.
type unknownKey struct{}

func (unknownKey) Type() string                        { return "none" }
func (unknownKey) Marshal() []byte                     { return []byte("none") }
func (unknownKey) Verify([]byte, *ssh.Signature) error { return errors.New("not a key") }

func knownAlgorithms(check ssh.HostKeyCallback, endpoint string) []string {
	var mismatch *knownhosts.KeyError
	if !errors.As(check(endpoint, &net.TCPAddr{IP: net.IPv4zero}, unknownKey{}), &mismatch) {
		return nil
	}
	var algorithms []string
	for _, known := range mismatch.Want {
		algorithms = append(algorithms, signaturesOf(known.Key.Type())...)
	}
	return algorithms
}

// signaturesOf exists because an RSA key signs in three ways, of which servers today take two.
func signaturesOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}
