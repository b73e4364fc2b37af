package vmm

import (
	"strconv"
	"strings"
)

// bareOption tells QEMU's options without an argument; every other takes the
// word that follows, whatever it looks like. From qemu-options.hx.
func bareOption(name string) bool {
	switch name {
	case "h", "help", "version", "S", "s", "snapshot", "nographic", "full-screen", "no-frame", "alt-grab", "ctrl-grab",
		"no-quit", "sdl", "curses", "portrait", "no-reboot", "no-shutdown", "daemonize", "enable-kvm", "no-kvm",
		"no-kvm-irqchip", "no-kvm-pit", "no-kvm-pit-reinjection", "no-hpet", "no-acpi", "no-fd-bootchk", "win2k-hack",
		"rtc-td-hack", "localtime", "nodefaults", "nodefconfig", "no-user-config", "singlestep", "one-insn-per-tb",
		"mem-prealloc", "mem-share", "usb", "only-migratable", "preconfig", "enable-fips", "enable-sync-profile",
		"old-param", "semihosting", "xen-attach", "xen-create", "xen-domid-restrict", "perfmap", "jitdump",
		"enable-hax", "audio-help":
		return true
	}
	return false
}

// qemuArgs collects what QEMU's command line says.
type qemuArgs struct {
	p        *Process
	chardevs map[string]Chardev
	mons     []props
	legacy   []legacyMon
	gdb      []string
	serials  []string
}

type legacyMon struct {
	proto Proto
	text  string
}

// parseQEMU fills p from p.Args. Chardevs may be named before they are defined,
// so references are resolved at the end.
func parseQEMU(p *Process) {
	q := qemuArgs{p: p, chardevs: map[string]Chardev{}}
	for i := 1; i < len(p.Args); i++ {
		name, ok := strings.CutPrefix(p.Args[i], "-")
		if !ok || name == "" {
			continue // a disk image
		}
		name = strings.TrimPrefix(name, "-")
		if bareOption(name) {
			q.bare(name)
			continue
		}
		if i++; i < len(p.Args) {
			q.option(name, p.Args[i])
		}
	}
	q.finish()
}

func (q *qemuArgs) bare(name string) {
	switch name {
	case "S":
		q.p.Paused = true
	case "s":
		q.gdb = append(q.gdb, "tcp::1234")
	case "enable-kvm":
		q.accel("kvm")
	case "nographic":
		q.serials = append(q.serials, "mon:stdio")
	}
}

func (q *qemuArgs) option(name, v string) {
	p := q.p
	switch name {
	case "name":
		p.Name = parseOpts(v, "guest")["guest"]
	case "uuid":
		p.UUID = v
	case "kernel":
		p.Kernel = v
	case "initrd":
		p.Initrd = v
	case "append":
		p.Append = v
	case "pidfile":
		p.PIDFile = v
	case "m":
		p.MemoryMiB = size(parseOpts(v, "size")["size"], 1<<20) >> 20
	case "smp":
		p.CPUs = max(number(parseOpts(v, "cpus")["cpus"]), 0)
	case "accel":
		q.accel(parseOpts(v, "accel")["accel"])
	case "machine", "M":
		q.machine(parseOpts(v, "type"))
	case "object":
		q.object(parseOpts(v, "qom-type"))
	case "mem-path":
		p.Backends = append(p.Backends, MemBackend{Type: "file", Path: v})
	case "chardev":
		if c := chardevOf(parseOpts(v, "backend")); c.ID != "" {
			q.chardevs[c.ID] = c
		}
	case "mon":
		q.mons = append(q.mons, parseOpts(v, "chardev"))
	case "qmp", "qmp-pretty":
		q.legacy = append(q.legacy, legacyMon{QMP, v})
	case "monitor":
		q.legacy = append(q.legacy, legacyMon{HMP, v})
	case "gdb":
		q.gdb = append(q.gdb, v)
	case "serial":
		q.serials = append(q.serials, v)
	}
}

func (q *qemuArgs) accel(name string) {
	name, _, _ = strings.Cut(name, ":")
	if q.p.Accel == "" {
		q.p.Accel = name
	}
}

func (q *qemuArgs) machine(m props) {
	if a := m["accel"]; a != "" {
		q.accel(a)
	}
	if c := m["confidential-guest-support"]; c != "" {
		q.p.Confidential = "-machine confidential-guest-support=" + c
	} else if c := m["memory-encryption"]; c != "" {
		q.p.Confidential = "-machine memory-encryption=" + c
	}
	if b := m["memory-backend"]; b != "" {
		q.p.RAM = b
	}
}

func (q *qemuArgs) object(o props) {
	kind, ok := strings.CutPrefix(o["qom-type"], "memory-backend-")
	if !ok {
		switch o["qom-type"] {
		case "sev-guest", "sev-snp-guest", "tdx-guest", "s390-pv-guest", "pef-guest", "arm-rme-guest":
			if q.p.Confidential == "" {
				q.p.Confidential = "-object " + o["qom-type"]
			}
		}
		return
	}
	q.p.Backends = append(q.p.Backends, MemBackend{
		Type: kind, ID: o["id"], Path: o["mem-path"], Size: size(o["size"], 1),
		// memfd is shared unless told otherwise; the rest are private.
		Share: o.on("share") || kind == "memfd" && o["share"] != "off",
	})
}

func (q *qemuArgs) finish() {
	p := q.p
	for _, m := range q.mons {
		c, ok := q.chardevs[m["chardev"]]
		if !ok {
			c = Chardev{ID: m["chardev"], FD: -1}
		}
		proto := HMP
		if m["mode"] == "control" {
			proto = QMP
		}
		p.Monitors = append(p.Monitors, monitorOn(proto, c))
	}
	for _, m := range q.legacy {
		if m.text != "none" {
			p.Monitors = append(p.Monitors, monitorOn(m.proto, legacyChardev(m.text, q.chardevs)))
		}
	}
	for _, text := range q.gdb {
		c := legacyChardev(text, q.chardevs)
		c.Server = true // QEMU makes every socket of its stub one that listens
		if t := c.Target(); t != "" {
			p.GDB = append(p.GDB, t)
			p.GDBListen = append(p.GDBListen, listenSpec(text, t))
		} else if strings.HasSuffix(c.Addr, ":0") {
			p.anyPort = true
		}
	}
	for _, text := range q.serials {
		if text != "none" {
			p.Serials = append(p.Serials, legacyChardev(text, q.chardevs))
		}
	}
}

// listenSpec is a stub's address for "gdbserver": as it was given, or made of the
// chardev it was given.
func listenSpec(text, target string) string {
	if !strings.HasPrefix(text, "chardev:") {
		return text
	}
	if path, ok := strings.CutPrefix(target, "unix:"); ok {
		return "unix:" + strings.ReplaceAll(path, ",", ",,") + ",server=on,wait=off"
	}
	return target
}

func monitorOn(proto Proto, c Chardev) Monitor {
	m := Monitor{Proto: proto, Chardev: c}
	if c.Backend == "socket" && c.Server && !c.Abstract {
		m.Path = c.Path
	}
	return m
}

// number reads a decimal number, -1 if it is none.
func number(text string) int {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return -1
	}
	return int(n)
}

// KeepsEnded reports whether a command line has QEMU pause its VM where it would end
// it.
func (p *Process) KeepsEnded() bool {
	before := ""
	for _, word := range p.Args {
		if strings.HasPrefix(word, "--") {
			word = word[1:] // one dash or two
		}
		if word == "-no-shutdown" || before == "-action" && parseOpts(word, "")["shutdown"] == "pause" {
			return true
		}
		before = word
	}
	return false
}
