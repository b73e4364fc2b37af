package vmm

import (
	"path"
	"runtime"
	"strings"
)

// kindOf tells a VMM by the names of its program: its file, what it was called
// as and the kernel's name of it, which is cut at 15 bytes.
func kindOf(names ...string) (Kind, string) {
	for _, n := range names {
		n = strings.TrimPrefix(path.Base(n), ".") // wrapped programs: .qemu-system-x86_64-wrapped
		switch {
		case strings.HasPrefix(n, "qemu-system-"):
			return QEMU, guestArch(strings.TrimSuffix(strings.TrimPrefix(n, "qemu-system-"), "-wrapped"))
		case n == "qemu-kvm", n == "kvm":
			return QEMU, hostArch()
		case n == "firecracker", strings.HasPrefix(n, "firecracker-"):
			return Firecracker, hostArch()
		}
	}
	return Other, ""
}

// guestArch turns QEMU's name of an architecture into that of target/arch.
func guestArch(name string) string {
	switch name {
	case "aarch64":
		return "arm64"
	case "x86", "x86_": // cut by the kernel
		return "x86_64"
	}
	return name
}

func hostArch() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}

// findManager tells whose VMM it is by the control sockets it was given, and
// marks those that are not for others.
func (p *Process) findManager() {
	for i := range p.Monitors {
		m := &p.Monitors[i]
		name, _, _ := strings.Cut(path.Base(m.Chardev.Path), ".")
		switch {
		case name == "qemu_control" || name == "qemu_events":
			// The first is opened by each kraft command, the second is held.
			m.Owner, p.Manager = Kraft, Kraft
		case m.Chardev.ID == "charmonitor", strings.Contains(m.Chardev.Path, "/libvirt/"):
			m.Owner, p.Manager = Libvirt, Libvirt
		}
	}
	if p.Manager == Unmanaged && strings.Contains(p.APISocket, "/kraftkit/") {
		p.Manager = Kraft
	}
}
