package kernel

import (
	"context"
	"errors"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// Kernel is what every profile of a kernel can be asked. What a kernel or an
// image does not have is an error that errors.Is one of those below.
type Kernel interface {
	// Name is the kernel's name: "Unikraft".
	Name() string
	// Version is what the image says of itself ("0.17.0 Calypso"), "" if it
	// says nothing.
	Version() string
	// Threads lists all threads of a stopped guest.
	Threads(ctx context.Context) (*ThreadList, error)
	// Heap lists the allocators.
	Heap(ctx context.Context) (*Heap, error)
	// TraceBuffer says where the trace buffer is.
	TraceBuffer() (tracebuf.Location, error)
	// Log returns what the console ring still holds, oldest first. The bytes
	// are the guest's and not escaped.
	Log(ctx context.Context) ([]byte, error)
	// Uptime is how long the guest is up by its own clock.
	Uptime(ctx context.Context) (Uptime, error)
}

// ErrAbsent says that the image does not contain what was asked for; the error
// that wraps it says which symbol or option is missing.
var ErrAbsent = errors.New("not in this image")

// Uptime is a time of the guest's monotonic clock.
type Uptime struct {
	// Nanoseconds since boot.
	Nanoseconds uint64
	// AtLeast: the time is the newest the kernel wrote down; now is later.
	AtLeast bool
}
