package vmm

import "slices"

// Kind is the program that runs a guest.
type Kind string

// The kinds known.
const (
	QEMU        Kind = "qemu"
	Firecracker Kind = "firecracker"
	Other       Kind = "other"
)

// Manager is the tool that started a VMM and owns its control sockets.
type Manager string

// The managers known by the marks they leave on a command line.
const (
	Unmanaged Manager = ""
	Kraft     Manager = "kraft"
	Libvirt   Manager = "libvirt"
)

// Process is a process of this host that may run a guest.
type Process struct {
	PID int
	// StartTime is when it started, in clock ticks since boot (field 22 of
	// /proc/PID/stat): with PID it names the process for ever.
	StartTime uint64
	// UID is the effective user id.
	UID  uint32
	Comm string // the kernel's name of it, 15 bytes at most
	Args []string
	// Exe is the program's file, "" where this user may not see it.
	Exe  string
	Kind Kind
	// Arch is the guest's architecture as target/arch names it, "" if the
	// program's name does not tell.
	Arch    string
	Manager Manager

	Name string // -name, --id
	UUID string
	// Boot files, "" where none is named. Paths are as this process sees them.
	Kernel, Initrd, Append string
	ConfigFile             string // Firecracker's --config-file
	APISocket              string // Firecracker's API, a unix socket
	PIDFile                string

	MemoryMiB uint64 // 0 if not told
	CPUs      int    // 0 if not told
	// Accel is kvm, tcg and so on, the first that is asked for; "" if not told.
	Accel string
	// Paused says that the CPUs were not to start by themselves (-S).
	Paused bool
	// Confidential says that the guest's memory is encrypted or withheld from
	// the host, and why that is thought.
	Confidential string

	Monitors []Monitor
	GDB      []string // stubs, as target addresses
	// GDBListen are the same, as the VMM's own "gdbserver" command takes them:
	// with paths as the VMM sees them and the addresses it was told.
	GDBListen []string
	Serials   []Chardev
	Backends  []MemBackend
	// RAM is the id of the backend that is the guest's RAM (-machine
	// memory-backend=), "" if QEMU makes its own.
	RAM string

	// anyPort says that a stub listens on a TCP port of the kernel's choice.
	anyPort bool

	// Unseen says what this user was not allowed to look at.
	Unseen []string
}

// Monitor is a control socket of a VMM.
type Monitor struct {
	Proto Proto
	// Path is the unix socket, or "" for a monitor elsewhere: see Chardev.
	Path    string
	Chardev Chardev
	// Owner is the tool that uses this monitor for itself; nobody else is to
	// open it.
	Owner Manager
}

// Proto is a monitor's language.
type Proto string

// QEMU's monitor languages.
const (
	QMP Proto = "qmp"
	HMP Proto = "hmp"
)

// MemBackend is a -object memory-backend-*, or what -mem-path stands for.
type MemBackend struct {
	Type string // ram, memfd, file, epc …
	ID   string
	// Path is the file of a file backend.
	Path  string
	Share bool
	// Size is in bytes, 0 if not told.
	Size uint64
}

// Same reports whether p and q are one process: the same number and start.
func (p *Process) Same(q *Process) bool {
	return p.PID == q.PID && p.StartTime == q.StartTime
}

// Usable are the monitors that belong to nobody else and have a socket's path,
// QMP first.
func (p *Process) Usable() []Monitor {
	var out []Monitor
	for _, m := range p.Monitors {
		if m.Owner == Unmanaged && m.Path != "" {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b Monitor) int {
		switch {
		case a.Proto == b.Proto:
			return 0
		case a.Proto == QMP:
			return -1
		}
		return 1
	})
	return out
}
