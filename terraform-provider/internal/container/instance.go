// The drivers `incus` and `lxd`.

package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
	"github.com/recoup/terraform-provider-recoup/internal/lxd"
	"github.com/recoup/terraform-provider-recoup/internal/settings"
)

// markKey holds the nonce of the create that made an instance: what was not made by us must never be removed by us because a
// create that lost its connection believed it was.
const markKey = "user.recoup.mark"

// cleanStop is how many seconds a guest has to stop by itself.
const cleanStop = 30

type instance struct {
	client *lxd.Client
	at     guest.Address
}

func newInstance(at guest.Address, server settings.LXDServer) (*instance, error) {
	flavor := lxd.Incus
	if at.Kind == guest.KindLXD {
		flavor = lxd.LXD
	}
	server.Project = at.Project
	client, err := lxd.Open(flavor, server)
	if err != nil {
		return nil, blame(path.Root("driver"), "%w", err)
	}
	return &instance{client: client, at: at}, nil
}

func (i *instance) address() guest.Address { return i.at }
func (i *instance) close()                 { i.client.Close() }

// command is the shell command that a remedy names.
func (i *instance) command() string {
	if i.at.Kind == guest.KindLXD {
		return "lxc"
	}
	return "incus"
}

func (i *instance) create(ctx context.Context, wanted *spec) (bool, error) {
	switch _, err := i.client.Instance(ctx, i.at.Name); {
	case err == nil:
		return false, nameTaken(i.at)
	case !errors.Is(err, fs.ErrNotExist):
		return false, blame(path.Root("driver"), "%w", err)
	}
	source, err := i.source(ctx, wanted.image)
	if err != nil {
		return false, err
	}
	if wanted.hwaddr == "" {
		server, err := i.client.Server(ctx)
		if err != nil {
			return false, err
		}
		prefix := "10:66:6a"
		if i.at.Kind == guest.KindLXD {
			prefix = "00:16:3e"
		}
		wanted.hwaddr = stableMAC(prefix, server.Environment.CertificateFingerprint, server.Environment.ServerName, i.at.String())
	}
	request := lxd.NewInstance{Name: i.at.Name, Type: "container", Profiles: wanted.profiles, Source: source,
		Config: map[string]string{markKey: wanted.nonce}, Devices: map[string]lxd.Device{}}
	profiles := wanted.profiles
	if profiles == nil {
		profiles = []string{"default"}
	}
	inherited, err := i.inherited(ctx, profiles)
	if err != nil {
		return false, err
	}
	applyConfig(request.Config, spec{}, *wanted)
	if err := i.applyDevices(ctx, request.Devices, request.Config, inherited, spec{}, *wanted); err != nil {
		return false, err
	}
	if err := i.client.CreateInstance(ctx, request); err != nil {
		return i.isMine(ctx, wanted.nonce), i.explain(err, *wanted)
	}
	return true, nil
}

func nameTaken(at guest.Address) error {
	return blame(path.Root("name"), "%s is there already, and was not made by this resource. Choose another name, or take it over:\n\n  terraform import ADDRESS %s\n\n"+
		"with the resource's address for ADDRESS, as recoup_container.this", at, at)
}

// isMine finds out whether a create that failed left an instance. The daemon may still be at it where only the connection
// broke: then this waits for its end. Where nothing can be found out the answer is yes: the next apply looks again, and
// removing compares the mark.
func (i *instance) isMine(ctx context.Context, nonce string) bool {
	looking, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer stop()
	for {
		busy, err := i.client.Busy(looking, i.at.Name)
		if err != nil {
			return true
		}
		if !busy {
			break
		}
		select {
		case <-looking.Done():
			return true
		case <-time.After(200 * time.Millisecond):
		}
	}
	found, err := i.client.Instance(looking, i.at.Name)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return found.Config[markKey] == nonce
}

var fingerprint = regexp.MustCompile(`^[0-9a-f]{12,64}$`)

// source reads `image`.
func (i *instance) source(ctx context.Context, image string) (lxd.Source, error) {
	at := path.Root("image")
	if image == "" {
		return lxd.Source{}, blame(at, "`image` must be set to make a container: an alias that `%s image list` shows, or as images:debian/12", i.command())
	}
	remotes := map[string]string{"images": "https://images.linuxcontainers.org", "ubuntu": "https://cloud-images.ubuntu.com/releases"}
	if cut := strings.LastIndex(image, ":"); cut > 0 {
		remote, alias := image[:cut], image[cut+1:]
		server, known := remotes[remote]
		if strings.HasPrefix(remote, "https://") {
			server, known = remote, true
		}
		if !known {
			return lxd.Source{}, blame(at, "The remote %q is not known: write images:ALIAS, ubuntu:ALIAS, https://SERVER:ALIAS, or the alias of a local image", remote)
		}
		return lxd.Source{Type: "image", Protocol: "simplestreams", Server: server, Alias: alias, Mode: "pull"}, nil
	}
	target, err := i.client.ImageAlias(ctx, image)
	switch {
	case err == nil:
		return lxd.Source{Type: "image", Fingerprint: target}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return lxd.Source{}, err
	case fingerprint.MatchString(image):
		return lxd.Source{Type: "image", Fingerprint: image}, nil
	}
	return lxd.Source{}, blame(at, "There is no image with the alias %q in project %q of this server. `%s image list` shows what is there; an image from elsewhere is written as images:debian/12",
		image, i.client.Project(), i.command())
}

// inherited gives the devices that profiles bring, later profiles over earlier ones.
func (i *instance) inherited(ctx context.Context, profiles []string) (map[string]lxd.Device, error) {
	devices := map[string]lxd.Device{}
	for n, name := range profiles {
		profile, err := i.client.Profile(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, blame(path.Root("profiles").AtListIndex(n), "There is no profile %q in project %q: create it with `%s profile create %s`, or leave it out", name, i.client.Project(), i.command(), name)
		}
		if err != nil {
			return nil, err
		}
		for device, values := range profile.Devices {
			devices[device] = values
		}
	}
	return devices, nil
}

func (i *instance) mark(ctx context.Context) (string, error) {
	found, err := i.client.Instance(ctx, i.at.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: %w", i.at, guest.ErrGone)
	}
	if err != nil {
		return "", blame(path.Root("driver"), "%w", err)
	}
	return found.Config[markKey], nil
}

func (i *instance) observe(ctx context.Context) (observed, error) {
	found, err := i.client.Instance(ctx, i.at.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return observed{}, fmt.Errorf("%s: %w", i.at, guest.ErrGone)
	}
	if err != nil {
		return observed{}, blame(path.Root("driver"), "%w", err)
	}
	result := observed{name: found.Name, status: found.Status, profiles: found.Profiles, config: found.Config,
		memory: found.Config["limits.memory"], mounts: map[string]mount{}}
	if count, err := strconv.ParseInt(found.Config["limits.cpu"], 10, 64); err == nil {
		result.cpu = &count
	}
	result.autostart, result.nesting = readBool(found.Config["boot.autostart"]), readBool(found.Config["security.nesting"])
	if root := found.Devices["root"]; root != nil {
		result.disk, result.pool = root["size"], root["pool"]
	}
	for name, device := range found.Devices {
		if device["type"] == "disk" && strings.HasPrefix(device["source"], "/") && device["path"] != "/" {
			result.mounts[name] = mount{source: device["source"], path: device["path"], readOnly: device["readonly"] == "true", shift: readBool(device["shift"])}
		}
	}
	key, nic := findNIC(found.ExpandedDevices)
	if own := found.Devices[key]; own != nil {
		result.network, result.bridge, result.address = own["network"], own["parent"], own["ipv4.address"]
		inherited, err := i.inherited(ctx, found.Profiles)
		if err != nil {
			return observed{}, err
		}
		_, from := findNIC(inherited)
		result.placedByProfile = from != nil && from["network"] == own["network"] && from["parent"] == own["parent"]
	}
	result.hwaddr = nic["hwaddr"]
	if result.hwaddr == "" {
		result.hwaddr = found.Config["volatile."+key+".hwaddr"]
	}
	if found.Status == "Running" {
		state, err := i.client.State(ctx, i.at.Name)
		if err != nil {
			return observed{}, err
		}
		for _, address := range state.Network["eth0"].Addresses {
			if address.Family == "inet" && address.Scope == "global" && (result.ipv4 == "" || address.Address == result.address) {
				result.ipv4, result.prefix = address.Address, address.Netmask
			}
		}
	}
	return result, i.observeNetworkd(ctx, &result)
}

// observeNetworkd reads the file that sets a static address, if there is one.
func (i *instance) observeNetworkd(ctx context.Context, into *observed) error {
	file, err := i.client.ReadFile(ctx, i.at.Name, networkdFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	into.networkd = string(file.Content)
	return nil
}

func readBool(text string) *bool {
	switch text {
	case "true", "1", "yes", "on":
		yes := true
		return &yes
	case "false", "0", "no", "off":
		no := false
		return &no
	}
	return nil
}

func (i *instance) update(ctx context.Context, before, wanted spec) error {
	var last error
	for range 5 {
		found, err := i.client.Instance(ctx, i.at.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", i.at, guest.ErrGone)
		}
		if err != nil {
			return err
		}
		if wanted.profiles != nil {
			found.Profiles = wanted.profiles
		}
		inherited, err := i.inherited(ctx, found.Profiles)
		if err != nil {
			return err
		}
		applyConfig(found.Config, before, wanted)
		if err := i.applyDevices(ctx, found.Devices, found.Config, inherited, before, wanted); err != nil {
			return err
		}
		last = i.client.UpdateInstance(ctx, found)
		var refusal *lxd.Error
		if !errors.As(last, &refusal) || refusal.Code != http.StatusPreconditionFailed {
			return i.explain(last, wanted)
		}
		// Somebody else changed the instance between our reading and writing: read again, so that neither change is lost.
	}
	return last
}

func (i *instance) start(ctx context.Context) error {
	err := i.client.SetState(ctx, i.at.Name, "start", cleanStop, false)
	if err == nil || strings.Contains(err.Error(), "already running") {
		return nil
	}
	var refusal *lxd.Error
	if errors.As(err, &refusal) && refusal.Remedy == "" {
		if problem := i.client.StartProblem(ctx, i.at.Name); problem != "" {
			refusal.Remedy = fmt.Sprintf("Its log has more; the first error there is: %s", problem)
		}
	}
	return fmt.Errorf("starting %s: %w", i.at, i.explain(err, spec{}))
}

func (i *instance) stop(ctx context.Context) error {
	err := i.client.SetState(ctx, i.at.Name, "stop", cleanStop, false)
	if err != nil && !lxd.IsUnreachable(err) && !strings.Contains(err.Error(), "already stopped") {
		err = i.client.SetState(ctx, i.at.Name, "stop", cleanStop, true)
	}
	if err != nil && !strings.Contains(err.Error(), "already stopped") {
		return fmt.Errorf("stopping %s: %w", i.at, err)
	}
	return nil
}

func (i *instance) remove(ctx context.Context) error {
	return stopAndDelete(ctx, removal{
		rounds: 5,
		isStopped: func(ctx context.Context) (bool, error) {
			found, err := i.client.Instance(ctx, i.at.Name)
			return found.Status == "Stopped", err
		},
		stop:   i.stop,
		delete: func(ctx context.Context) error { return i.client.DeleteInstance(ctx, i.at.Name) },
	})
}

func (i *instance) open(context.Context) (guest.Guest, error) {
	return guest.NewInstance(i.client, i.at.Name), nil
}
