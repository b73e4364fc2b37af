//go:build linux

package guestram

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mapping is a line of /proc/PID/maps.
type Mapping struct {
	// Start is the first address, Size the length in bytes.
	Start, Size   uint64
	Write, Shared bool
	Offset, Inode uint64
	Device        uint64 // as unix.Mkdev makes it
	Path          string // "" if anonymous
	Userfault     bool   // a userfaultfd looks after it
}

// Last is the last address.
func (m *Mapping) Last() uint64 { return m.Start + m.Size - 1 }

// maxMappings bounds how many lines are read; vm.max_map_count is 65,530.
const maxMappings = 1 << 18

// Mappings lists what the process has mapped, by address.
func (p *Process) Mappings() ([]Mapping, error) {
	f, err := os.Open(p.path("maps"))
	if err != nil {
		return nil, p.denied("its list of mappings", err)
	}
	defer f.Close()
	maps, err := parseMaps(f)
	if err != nil {
		return nil, p.denied("its list of mappings", err)
	}
	if len(maps) == 0 {
		// A process the caller may not look into shows an empty list to some
		// kernels, one that has just ended to all.
		if err := p.Alive(); err != nil {
			return nil, err
		}
		return nil, p.denied("its list of mappings", unix.EACCES)
	}
	return maps, nil
}

// parseMaps reads lines of maps or of smaps, whose VmFlags tell userfaultfd
// ranges.
func parseMaps(r io.Reader) ([]Mapping, error) {
	var out []Mapping
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 8<<10), 64<<10)
	for in.Scan() {
		line := in.Text()
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok {
			if len(out) > 0 {
				m := &out[len(out)-1]
				for _, f := range strings.Fields(flags) {
					// um: missing pages, ui: minor faults. Write protection (uw)
					// does not concern a reader.
					m.Userfault = m.Userfault || f == "um" || f == "ui"
				}
			}
			continue
		}
		if m, ok := parseMapping(line); ok {
			if len(out) == maxMappings {
				return nil, fmt.Errorf("more than %d mappings", maxMappings)
			}
			if n := len(out); n > 0 && m.Start <= out[n-1].Last() {
				return nil, errors.New("its mappings overlap")
			}
			out = append(out, m)
		}
	}
	return out, in.Err()
}

func parseMapping(line string) (m Mapping, ok bool) {
	addrs, rest, ok1 := strings.Cut(line, " ")
	from, to, ok2 := strings.Cut(addrs, "-")
	start, err1 := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || end <= start {
		return m, false
	}
	f := strings.Fields(rest)
	if len(f) < 4 || len(f[0]) < 4 {
		return m, false
	}
	off, err1 := strconv.ParseUint(f[1], 16, 64)
	inode, err2 := strconv.ParseUint(f[3], 10, 64)
	major, minor, ok2 := strings.Cut(f[2], ":")
	ma, err3 := strconv.ParseUint(major, 16, 32)
	mi, err4 := strconv.ParseUint(minor, 16, 32)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || !ok2 {
		return m, false
	}
	m = Mapping{Start: start, Size: end - start, Write: f[0][1] == 'w', Shared: f[0][3] == 's',
		Offset: off, Inode: inode, Device: unix.Mkdev(uint32(ma), uint32(mi))}
	if len(f) > 4 {
		// The path is the rest of the line; the kernel escapes newlines in it.
		m.Path = rest[strings.Index(rest, f[4]):]
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			m.Path = rest[i:]
		}
	}
	return m, true
}

// markUserfault learns which mappings a userfaultfd looks after. That is in
// smaps alone, which is dear to read, so it is asked only of a process that has
// such a descriptor, or whose descriptors cannot be seen.
func (p *Process) markUserfault(maps []Mapping) error {
	has, err := p.hasUserfault()
	if err == nil && !has {
		return nil
	}
	f, err := os.Open(p.path("smaps"))
	if err != nil {
		return p.denied("its list of mappings", err)
	}
	defer f.Close()
	all, err := parseMaps(f)
	if err != nil {
		return p.denied("its list of mappings", err)
	}
	for i := range all {
		if !all[i].Userfault {
			continue
		}
		for k := range maps {
			if maps[k].Start <= all[i].Last() && all[i].Start <= maps[k].Last() {
				maps[k].Userfault = true
			}
		}
	}
	return nil
}

func (p *Process) hasUserfault() (bool, error) {
	found := false
	err := p.eachFD(func(_, to string) bool {
		found = to == "anon_inode:[userfaultfd]"
		return !found
	})
	return found, err
}

// eachFD calls f with the path and the target of each descriptor, until it
// returns false.
func (p *Process) eachFD(f func(path, to string) bool) error {
	dir := p.path("fd")
	d, err := os.Open(dir)
	if err != nil {
		return p.denied("its open files", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return p.denied("its open files", err)
	}
	for _, n := range names {
		path := dir + "/" + n
		to, err := os.Readlink(path)
		if err != nil {
			continue // closed since
		}
		if !f(path, to) {
			break
		}
	}
	return nil
}
