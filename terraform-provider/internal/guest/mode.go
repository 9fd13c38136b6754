// Permission bits as unix numbers them (07777), which is also what every guest's File.Mode has.

package guest

import "io/fs"

var specialBits = map[fs.FileMode]fs.FileMode{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000}

// unixMode takes Go's modes too, which have the three special bits elsewhere than unix has.
func unixMode(mode fs.FileMode) fs.FileMode {
	bits := mode & 0o7777
	for goBit, unixBit := range specialBits {
		if mode&goBit != 0 {
			bits |= unixBit
		}
	}
	return bits
}

// goMode is the inverse, for functions of package os.
func goMode(mode fs.FileMode) fs.FileMode {
	bits := mode.Perm()
	for goBit, unixBit := range specialBits {
		if mode&(goBit|unixBit) != 0 {
			bits |= goBit
		}
	}
	return bits
}
