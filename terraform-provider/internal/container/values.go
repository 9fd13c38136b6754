// Values that configurations write in one form and servers in another, and their checks.

package container

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/recoup/terraform-provider-recoup/internal/guest"
)

var sizeForm = regexp.MustCompile(`^([0-9]+)\s*(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$`)

var sizeUnits = map[string]int64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

// parseSize gives bytes.
func parseSize(text string) (int64, error) {
	parts := sizeForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("%q is not a size: write a number and a unit, as 512MiB, 2GiB or 20GB", text)
	}
	number, err := strconv.ParseInt(parts[1], 10, 64)
	if unit := sizeUnits[parts[2]]; err != nil || number > (1<<62)/unit {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return number * sizeUnits[parts[2]], nil
}

// sameSize is for "1GiB" and "1024MiB", which servers may turn into each other.
func sameSize(left, right string) bool {
	first, errFirst := parseSize(left)
	second, errSecond := parseSize(right)
	return left == right || errFirst == nil && errSecond == nil && first == second
}

// writeSize gives the shortest exact form.
func writeSize(bytes int64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if bytes > 0 && bytes%sizeUnits[unit] == 0 {
			return fmt.Sprintf("%d%s", bytes/sizeUnits[unit], unit)
		}
	}
	return fmt.Sprintf("%dB", bytes)
}

func checkName(text string) error {
	if !guest.ValidInstanceName(text) && !regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$`).MatchString(text) {
		return fmt.Errorf("%q is not a host name: up to 63 letters, digits and hyphens, no hyphen first or last", text)
	}
	return nil
}

func checkHost(text string) error {
	address, err := guest.ParseAddress(text)
	if err != nil {
		return err
	}
	if address.Kind != guest.KindSSH {
		return fmt.Errorf("%q is not of the form \"ssh://[user@]host[:port]\"", text)
	}
	if canonical := address.String(); canonical != text {
		return fmt.Errorf("write %q as %q: it becomes the id", text, canonical)
	}
	return nil
}

func checkCIDR(text string) error {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil || !prefix.Addr().Is4():
		return fmt.Errorf("%q is not an IPv4 address with the length of its prefix: write it as 10.10.0.25/24", text)
	case prefix.Bits() < 31 && prefix.Masked().Addr() == prefix.Addr():
		return fmt.Errorf("%q is the address of the network itself: give the container's, as 10.10.0.25/24", text)
	}
	return nil
}

func checkIPv4(text string) error {
	if address, err := netip.ParseAddr(text); err != nil || !address.Is4() {
		return fmt.Errorf("%q is not an IPv4 address", text)
	}
	return nil
}

// withoutPrefix is 10.10.0.25 of 10.10.0.25/24.
func withoutPrefix(address string) string {
	bare, _, _ := strings.Cut(address, "/")
	return bare
}
