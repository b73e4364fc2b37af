package hosts

import (
	"github.com/ukdbg/ukdbg/vmm"
)

// Guest is a guest on this host.
type Guest struct {
	vmm.Process
	// Name is what its manager calls it, else what its VMM does; "" if nobody
	// named it.
	Name string
	// Target is the address to give ukdbg, the most readable that names this
	// guest alone.
	Target string
	// State is running, paused, prelaunch and so on, as QEMU's query-status
	// says; "" if not known.
	State string
	// StateFrom says who told State, or why nobody did.
	StateFrom string
	Ways      []Way
	// ConsoleLogs are files its manager writes the serial port's output to,
	// beside what the command line tells.
	ConsoleLogs []string
	// Notes are what a person ought to know of this guest.
	Notes []string
}

// Way is a way to reach a guest.
type Way struct {
	Kind Kind
	// Spec is a target address, "" for a way only its owner may use.
	Spec string
	// Path is the socket or file, where there is one.
	Path string
	// Owner is the tool that keeps it for itself.
	Owner vmm.Manager
	// Open says that this user may use it as things are.
	Open bool
	// Used says that somebody uses it, and that it serves one at a time.
	Used bool
	// Note says why not, or what it costs.
	Note string
}

// Kind is a kind of way to a guest.
type Kind string

// The kinds of ways.
const (
	Monitor Kind = "monitor" // QMP or HMP: no stop
	Memory  Kind = "memory"  // the VMM's memory, by process number: no stop
	Stub    Kind = "gdb"     // a GDB stub: connecting stops the guest
	Console Kind = "console" // where the serial port's output goes
	API     Kind = "api"     // Firecracker's HTTP API
)

// Way returns the first open way of a kind.
func (g *Guest) Way(k Kind) (Way, bool) {
	for _, w := range g.Ways {
		if w.Kind == k && w.Open {
			return w, true
		}
	}
	return Way{}, false
}
