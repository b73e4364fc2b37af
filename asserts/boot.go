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
func (s *lane) watchBoot(seg *segment) {
	if seg.time.Known {
		s.clocked(seg.time.V)
	}
	for _, k := range kernelLines {
		if rest, ok := bytes.CutPrefix(bytes.TrimLeft(seg.body, " "), []byte(k.begins)); ok {
			s.endBoot()
			version, _, _ := bytes.Cut(rest, []byte(" "))
			s.kernel = k.name + " " + string(version[:min(len(version), 64)])
			return
		}
	}
	below := s.banner > 0
	if below {
		s.banner--
	}
	if seg.time.Known {
		return
	}
	if rest, ok := after(seg.body, "Powered by"); ok && seg.level == noLevel {
		s.endBoot()
		// "Powered by Unikraft Calypso (0.17.0~ddc5bf7)", or the words alone
		// above a drawing that ends with "Calypso 0.17.0~ddc5bf7".
		_, name, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
		s.boot = boot{kernel: versionText(name)}
		if s.kernel == "" {
			s.banner = bannerLines
		}
		return
	}
	if below && s.kernel == "" {
		s.kernel = bannerVersion(seg.body)
	}
}

// clocked takes a timestamp of the guest, in microseconds: one that lies before
// the last is another boot's.
func (s *lane) clocked(us uint64) {
	if s.clock.Known && us+rebootStep < s.clock.V {
		s.endBoot()
		s.kernel = ""
	}
	s.clock = Value(us)
}

// kernelLines are the lines by which other kernels tell their version when they
// begin.
var kernelLines = [...]struct{ begins, name string }{
	{"Linux version ", "Linux"},
	{"OSv v", "OSv"},
	{"Solo5: Bindings version ", "Solo5"},
	{"Xen version ", "Xen"},
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
