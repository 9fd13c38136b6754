// A stand-in for Proxmox VE, which can't run in tests: an HTTPS server that speaks the part of its documented API that the
// provider uses, and a `pct`. The containers behind it are real ones, of Incus.

package guesttest

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// Proxmox is one cluster of one node, "pve".
type Proxmox struct {
	Endpoint string
	Token    string
	CAFile   string
	SSH      *SSHD
	Incus    Incus

	// Fail, if set, is asked for each request: a text that is not "" becomes the answer of a task or a request that fails.
	Fail func(request *http.Request) string

	// Before, if set, is told of each request before anything is done: a text that is not "" becomes the refusal of it.
	Before func(request *http.Request) string

	t         *testing.T
	directory string // VMID.conf, as /etc/pve/lxc has them
	prefix    string // of the names of the instances behind
	lock      sync.Mutex
	tasks     map[string]string // UPID -> exit status
}

// Template is the only one there is.
const Template = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"

// pct does what Proxmox VE's does with the same arguments.
const pct = `#!/bin/sh
export INCUS_SOCKET=%[1]s INCUS_CONF=%[2]s/incus
command=$1 id=$2 name=%[3]s$2
if [ ! -e "%[2]s/$id.conf" ]; then echo "Configuration file 'nodes/pve/lxc/$id.conf' does not exist" >&2; exit 2; fi
shift 2
running() { incus list --format csv -c s "$name" | grep -q RUNNING; }
need() { running || { echo "CT $id not running" >&2; exit 255; }; }
case $command in
status) if running; then echo "status: running"; else echo "status: stopped"; fi ;;
exec) need; [ "$1" != -- ] || shift; exec incus exec "$name" -- "$@" ;;
pull) need; exec incus file pull "$name$1" "$2" ;;
push) need; [ "$3" = --perms ] || { echo "400 wrong arguments" >&2; exit 255; }
  exec incus file push --mode "$4" "$1" "$name$2" ;;
set)
  case $1 in
  -delete) sed -i "/^$2: /d" "%[2]s/$id.conf"; incus config device remove "$name" "$2" ;;
  -mp*) key=${1#-} source=${2%%%%,*} rest=${2#*,}
    path=${rest#mp=} path=${path%%%%,*} ro=
    case $rest in *,ro=1*) ro=readonly=true ;; esac
    sed -i "/^$key: /d" "%[2]s/$id.conf"; echo "$key: $2" >> "%[2]s/$id.conf"
    incus config device remove "$name" "$key" 2> /dev/null
    incus config device add "$name" "$key" disk source="$source" path="$path" $ro ;;
  *) echo "400 not enough arguments" >&2; exit 255 ;;
  esac ;;
*) echo "unknown command $command" >&2; exit 255 ;;
esac
`

// StartProxmox needs the Incus of StartIncus, and is skipped without it.
func StartProxmox(t *testing.T) *Proxmox {
	t.Helper()
	p := &Proxmox{Token: "root@pam!terraform=12345678-1234-1234-1234-123456789abc", Incus: StartIncus(t), t: t, directory: t.TempDir(), tasks: map[string]string{}}
	p.prefix = p.Incus.Name(t) + "-"
	bin := t.TempDir()
	writeFile(t, filepath.Join(bin, "pct"), fmt.Sprintf(pct, p.Incus.Socket, p.directory, p.prefix), 0o755)
	p.SSH = StartSSHD(t, bin+":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	mux := http.NewServeMux()
	for pattern, handler := range map[string]func(*http.Request) (any, error){
		"GET /nodes":                              p.nodes,
		"GET /cluster/nextid":                     p.nextID,
		"POST /nodes/pve/lxc":                     p.create,
		"GET /nodes/pve/lxc/{id}/config":          p.config,
		"PUT /nodes/pve/lxc/{id}/config":          p.setConfig,
		"PUT /nodes/pve/lxc/{id}/resize":          p.resize,
		"GET /nodes/pve/lxc/{id}/status/current":  p.current,
		"POST /nodes/pve/lxc/{id}/status/{state}": p.setStatus,
		"GET /nodes/pve/lxc/{id}/interfaces":      p.interfaces,
		"DELETE /nodes/pve/lxc/{id}":              p.remove,
		"GET /nodes/pve/tasks/{upid}/status":      p.task,
		"GET /nodes/pve/tasks/{upid}/log":         func(*http.Request) (any, error) { return []any{map[string]any{"n": 1, "t": "the task's log"}}, nil },
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api2/json"+path, p.answer(handler))
	}
	server := httptest.NewTLSServer(mux)
	t.Cleanup(func() {
		server.Close()
		names, _ := filepath.Glob(p.directory + "/*.conf")
		for _, name := range names {
			_, _ = p.Incus.TryCommand("delete", "--force", p.instance(strings.TrimSuffix(filepath.Base(name), ".conf")))
		}
	})
	p.Endpoint, p.CAFile = server.URL, filepath.Join(bin, "ca.pem")
	writeFile(t, p.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), 0o600)
	return p
}

// Settings are the provider's for this cluster.
func (p *Proxmox) Settings() settings.Settings {
	return settings.Settings{SSH: p.SSH.Settings(), Proxmox: settings.Proxmox{Endpoint: p.Endpoint, APIToken: p.Token, CAFile: p.CAFile, SSHHost: "127.0.0.1", SSHPort: p.SSH.Port}}
}

// refusal is an answer as Proxmox VE gives it: the words stand in the status line.
type refusal struct {
	code       int
	words      string
	parameters map[string]string
}

func (r refusal) Error() string { return r.words }

func (p *Proxmox) answer(handler func(*http.Request) (any, error)) http.HandlerFunc {
	return func(writer http.ResponseWriter, request *http.Request) {
		_ = request.ParseForm()
		p.lock.Lock()
		defer p.lock.Unlock()
		data, err := any(nil), error(refusal{401, "authentication failure", nil})
		if request.Header.Get("Authorization") == "PVEAPIToken="+p.Token {
			data, err = p.refuseOr(handler, request)
		}
		status, body := "200 OK", map[string]any{"data": data}
		if err != nil {
			said, ok := err.(refusal)
			if !ok {
				said = refusal{500, strings.ReplaceAll(err.Error(), "\n", " "), nil}
			}
			status, body = fmt.Sprintf("%d %s", said.code, said.words), map[string]any{"data": nil}
			if said.parameters != nil {
				body["errors"] = said.parameters
			}
		}
		text, _ := json.Marshal(body)
		connection, _, err := http.NewResponseController(writer).Hijack()
		if err != nil {
			panic(err)
		}
		defer connection.Close()
		fmt.Fprintf(connection, "HTTP/1.1 %s\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(text), text)
	}
}

func (p *Proxmox) refuseOr(handler func(*http.Request) (any, error), request *http.Request) (any, error) {
	if p.Before != nil {
		if words := p.Before(request); words != "" {
			return nil, refusal{500, words, nil}
		}
	}
	return handler(request)
}

func (p *Proxmox) instance(id string) string { return p.prefix + id }
func (p *Proxmox) file(id string) string     { return filepath.Join(p.directory, id+".conf") }

func (p *Proxmox) read(id string) (map[string]string, error) {
	text, err := os.ReadFile(p.file(id))
	if err != nil {
		return nil, refusal{500, fmt.Sprintf("Configuration file 'nodes/pve/lxc/%s.conf' does not exist", id), nil}
	}
	config := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ": "); found {
			config[name] = value
		}
	}
	return config, nil
}

func (p *Proxmox) write(id string, config map[string]string) error {
	text := ""
	for name, value := range config {
		text += name + ": " + value + "\n"
	}
	return os.WriteFile(p.file(id), []byte(text), 0o600)
}

// start is a task: it has run when the answer is sent, and says how when it is asked.
func (p *Proxmox) start(request *http.Request, kind, id string, work func() error) (any, error) {
	upid := fmt.Sprintf("UPID:pve:%08X:0000:00000000:%s:%s:root@pam!terraform:", len(p.tasks)+1, kind, id)
	status := ""
	if p.Fail != nil {
		status = p.Fail(request)
	}
	if status == "" {
		status = "OK"
		if err := work(); err != nil {
			status = err.Error()
		}
	}
	p.tasks[upid] = status
	return upid, nil
}

func (p *Proxmox) task(request *http.Request) (any, error) {
	status, found := p.tasks[request.PathValue("upid")]
	if !found {
		return nil, refusal{500, "no such task", nil}
	}
	return map[string]any{"status": "stopped", "exitstatus": status}, nil
}

func (p *Proxmox) nodes(*http.Request) (any, error) {
	return []any{map[string]any{"node": "pve", "status": "online"}}, nil
}

func (p *Proxmox) nextID(*http.Request) (any, error) {
	for id := 100; ; id++ {
		if _, err := os.Stat(p.file(strconv.Itoa(id))); err != nil {
			return strconv.Itoa(id), nil
		}
	}
}

func (p *Proxmox) config(request *http.Request) (any, error) {
	config, err := p.read(request.PathValue("id"))
	if err != nil {
		return nil, err
	}
	result := map[string]any{"digest": "0123"}
	for name, value := range config {
		result[name] = value
		if number, err := strconv.Atoi(value); err == nil { // as Perl's JSON does
			result[name] = number
		}
	}
	return result, nil
}

var parameters = "cores memory swap onboot features nameserver searchdomain net0 hostname description tags unprivileged"

func (p *Proxmox) merge(config map[string]string, form url.Values) error {
	for name := range form {
		switch {
		case name == "delete":
			for _, unset := range strings.Split(form.Get(name), ",") {
				delete(config, unset)
			}
		case strings.HasPrefix(name, "mp"):
			return refusal{403, "Permission check failed (mount point type bind is only allowed for root@pam)", nil}
		case !strings.Contains(" "+parameters+" ", " "+name+" "):
			return refusal{400, "Parameter verification failed.", map[string]string{name: "property is not defined in schema and the schema does not allow additional properties"}}
		case name == "memory" && form.Get(name) < "16" && len(form.Get(name)) < 3:
			return refusal{400, "Parameter verification failed.", map[string]string{name: "value must have a minimum value of 16"}}
		default:
			config[name] = form.Get(name)
		}
	}
	return nil
}

func (p *Proxmox) create(request *http.Request) (any, error) {
	id := request.Form.Get("vmid")
	if _, err := os.Stat(p.file(id)); err == nil {
		return nil, refusal{500, fmt.Sprintf("unable to create CT %s - CT %s already exists on node 'pve'", id, id), nil}
	}
	if template := request.Form.Get("ostemplate"); template != Template {
		return nil, refusal{500, fmt.Sprintf("unable to create CT %s - volume '%s' does not exist", id, template), nil}
	}
	config := map[string]string{"arch": "amd64", "ostype": "debian", "rootfs": request.Form.Get("storage") + ":vm-disk,size=4G"}
	if pool, size, found := strings.Cut(request.Form.Get("rootfs"), ":"); found {
		config["rootfs"] = fmt.Sprintf("%s:vm-%s-disk-0,size=%sG", pool, id, size)
	}
	form := url.Values{}
	for name, values := range request.Form {
		if !strings.Contains(" vmid ostemplate storage rootfs start ", " "+name+" ") {
			form[name] = values
		}
	}
	if err := p.merge(config, form); err != nil {
		return nil, err
	}
	return p.start(request, "vzcreate", id, func() error {
		net := map[string]string{}
		for _, part := range strings.Split(config["net0"], ",") {
			name, value, _ := strings.Cut(part, "=")
			net[name] = value
		}
		output, err := p.Incus.TryCommand("init", p.Incus.Image, p.instance(id), "-c", "security.nesting=true", "-d", "eth0,hwaddr="+strings.ToLower(net["hwaddr"]))
		if err != nil {
			return fmt.Errorf("%s", strings.TrimSpace(output))
		}
		if err := p.write(id, config); err != nil {
			return err
		}
		return p.address(id, net["ip"])
	})
}

// address is what Proxmox VE does before each start: it writes the container's network configuration into it.
func (p *Proxmox) address(id, address string) error {
	line := "Address=" + address
	if address == "dhcp" {
		line = "DHCP=ipv4"
	}
	file := filepath.Join(p.directory, "network")
	if err := os.WriteFile(file, []byte("[Match]\nName=eth0\n[Network]\n"+line+"\n"), 0o644); err != nil {
		return err
	}
	output, err := p.Incus.TryCommand("file", "push", "--mode", "0644", file, p.instance(id)+"/etc/systemd/network/eth0.network")
	if err != nil {
		return fmt.Errorf("%s", output)
	}
	return nil
}

func (p *Proxmox) setConfig(request *http.Request) (any, error) {
	id := request.PathValue("id")
	config, err := p.read(id)
	if err != nil {
		return nil, err
	}
	if err := p.merge(config, request.PostForm); err != nil {
		return nil, err
	}
	return nil, p.write(id, config)
}

func (p *Proxmox) resize(request *http.Request) (any, error) {
	id := request.PathValue("id")
	config, err := p.read(id)
	if err != nil {
		return nil, err
	}
	return p.start(request, "resize", id, func() error {
		volume, _, _ := strings.Cut(config["rootfs"], ",")
		config["rootfs"] = volume + ",size=" + request.Form.Get("size")
		return p.write(id, config)
	})
}

func (p *Proxmox) running(id string) bool {
	output, _ := p.Incus.TryCommand("list", "--format", "csv", "-c", "s", p.instance(id))
	return strings.Contains(output, "RUNNING")
}

func (p *Proxmox) current(request *http.Request) (any, error) {
	id := request.PathValue("id")
	if _, err := p.read(id); err != nil {
		return nil, err
	}
	status := "stopped"
	if p.running(id) {
		status = "running"
	}
	return map[string]any{"status": status, "vmid": id}, nil
}

func (p *Proxmox) setStatus(request *http.Request) (any, error) {
	id, verb := request.PathValue("id"), "start"
	if _, err := p.read(id); err != nil {
		return nil, err
	}
	running := p.running(id)
	if state := request.PathValue("state"); state == "start" && running {
		return nil, refusal{500, fmt.Sprintf("CT %s already running", id), nil}
	} else if state != "start" {
		if verb = "stop"; !running {
			return nil, refusal{500, fmt.Sprintf("CT %s not running", id), nil}
		}
	}
	return p.start(request, "vz"+verb, id, func() error {
		if output, err := p.Incus.TryCommand(verb, p.instance(id)); err != nil {
			return fmt.Errorf("%s", strings.TrimSpace(output))
		}
		return nil
	})
}

func (p *Proxmox) interfaces(request *http.Request) (any, error) {
	output, err := p.Incus.TryRun(p.instance(request.PathValue("id")), "cat", "/proc/net/fib_trie")
	if err != nil {
		return nil, err
	}
	// A minimal image has no `ip`: the addresses of this machine are the trie's "/32 host LOCAL" leaves.
	result, last := []any{}, ""
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if leaf, found := strings.CutPrefix(line, "|-- "); found {
			last = leaf
		}
		if line == "/32 host LOCAL" && strings.HasPrefix(last, p.Incus.Prefix) {
			return append(result, map[string]any{"name": "eth0", "inet": last + "/24"}), nil
		}
	}
	return result, nil
}

func (p *Proxmox) remove(request *http.Request) (any, error) {
	id := request.PathValue("id")
	if _, err := p.read(id); err != nil {
		return nil, err
	}
	if p.running(id) {
		return nil, refusal{500, fmt.Sprintf("unable to remove CT %s - container is running", id), nil}
	}
	return p.start(request, "vzdestroy", id, func() error {
		if output, err := p.Incus.TryCommand("delete", "--force", p.instance(id)); err != nil {
			return fmt.Errorf("%s", strings.TrimSpace(output))
		}
		return os.Remove(p.file(id))
	})
}

// Adopt makes a stopped container of that number without the API, and gives the name of the instance behind it.
func (p *Proxmox) Adopt(t *testing.T, vmid int) string {
	t.Helper()
	name := p.instance(strconv.Itoa(vmid))
	p.Incus.Command(t, "init", p.Incus.Image, name, "-c", "security.nesting=true")
	if err := p.write(strconv.Itoa(vmid), map[string]string{"hostname": "adopted"}); err != nil {
		t.Fatal(err)
	}
	return name
}

// Instance is the name of the instance behind a container.
func (p *Proxmox) Instance(vmid int) string { return p.instance(strconv.Itoa(vmid)) }

// Forget removes a container as if somebody had done it on the node.
func (p *Proxmox) Forget(t *testing.T, vmid int) {
	t.Helper()
	p.Incus.Command(t, "delete", "--force", p.Instance(vmid))
	if err := os.Remove(p.file(strconv.Itoa(vmid))); err != nil {
		t.Fatal(err)
	}
}
