package asserts

import "bytes"

// boot is what the scanner knows of the guest's current life.
type boot struct {
	kernel string
	clock  Word // the last timestamp
	banner int  // lines of the banner still to look at
}

// bannerLines is how many lines below "Powered by" the version is looked for.
const bannerLines = 8

// watchBoot looks for the banner and for a clock that was reset: the faults
// before it belong to another life of the guest.
func (s *Scanner) watchBoot(seg *segment) {
	if seg.time.Known {
		if s.clock.Known && seg.time.V+rebootStep < s.clock.V {
			s.endBoot()
			s.kernel = ""
		}
		s.clock = seg.time
		return
	}
	if rest, ok := after(seg.body, "Powered by"); ok && seg.level == noLevel {
		s.endBoot()
		// "Powered by Unikraft Calypso (0.17.0~ddc5bf7)", or the words alone
		// above a drawing that ends with "Calypso 0.17.0~ddc5bf7".
		_, name, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
		s.boot = boot{kernel: versionText(name), banner: bannerLines}
		return
	}
	if s.banner > 0 && s.kernel == "" {
		s.banner--
		s.kernel = bannerVersion(seg.body)
	}
}

// bannerVersion reads "CODENAME VERSION" standing alone in a line, in the form
// the crash screens have: "CODENAME (VERSION)".
func bannerVersion(b []byte) string {
	b = bytes.TrimSpace(b)
	name, version, ok := bytes.Cut(b, []byte(" "))
	if !ok || len(b) > maxName || len(version) < 3 || version[0] < '0' || version[0] > '9' ||
		bytes.IndexByte(version, '.') < 0 || bytes.IndexByte(version, ' ') >= 0 || !isLibrary(name) {
		return ""
	}
	return string(name) + " (" + string(version) + ")"
}

// versionText returns "Codename (version)" that b begins with.
func versionText(b []byte) string {
	if i := bytes.IndexByte(b, ')'); i >= 0 && i < 96 {
		return string(b[:i+1])
	}
	return string(bytes.TrimSpace(b[:min(len(b), 64)]))
}
