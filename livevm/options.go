//go:build linux

package livevm

import (
	"errors"
	"fmt"
	"time"

	"github.com/ukdbg/ukdbg/guestram"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// Image is what recognises the guest's image in its memory. The ground knows
// bytes and addresses, no symbols.
type Image struct {
	Arch *arch.Arch
	// Probes are read-only bytes at link-time addresses, on three pages or more.
	Probes []guestram.Probe
	// Tables are link-time addresses of what may be top page tables.
	Tables []uint64
	// Relocatable: the image may lie elsewhere than it was linked.
	Relocatable bool
}

// Options say how a VM is opened. The zero value knows no image.
type Options struct {
	Image *Image
	// Access says which memory may be touched.
	Access guestram.Options
	// Patches tells of the breakpoints other debuggers have in the guest's text, as
	// far as that is known; what is read does not show them. nil for none.
	Patches func(pid int, monitor string) []Patch
	// Timeout bounds one answer of the monitor, 0 for 5 s.
	Timeout time.Duration
}

// ErrConfidential says that the guest's memory is encrypted or withheld from the
// host. The way to such a guest is its console, and what it exports itself.
var ErrConfidential = errors.New("confidential guest: console and in-guest export only")

// ErrNeedImage says that only an image's bytes could tell where guest memory is.
var ErrNeedImage = errors.New("without a monitor guest memory is found by the image's bytes: give the image with -e")

// noMonitor is why registers are not read.
type noMonitor struct{ why string }

func (e noMonitor) Error() string {
	return "registers need a monitor: " + e.why
}

// Why says why there is no monitor.
func (e noMonitor) Why() string { return e.why }

func (e noMonitor) Unwrap() error { return target.ErrUnsupported }

// lost marks an error as the end of the target.
type lost struct{ error }

func (e lost) Unwrap() []error { return []error{e.error, target.ErrLost} }

func confidential(pid int, why string) error {
	return fmt.Errorf("process %d: %w (%s)", pid, ErrConfidential, why)
}
