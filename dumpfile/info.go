package dumpfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// NoteName and NoteType are those of the note that holds Info.
const (
	NoteName = "UKDBG"
	NoteType = 1
)

// maxInfo bounds the note that is read, in bytes: arm64 has some 300 system
// registers a processor.
const maxInfo = 16 << 20

// Info is what a dump says of itself.
type Info struct {
	// Version is 1. A reader refuses no higher one: fields are only added.
	Version int    `json:"version"`
	Writer  string `json:"writer"`
	// Target is what was dumped, as the person named it.
	Target string    `json:"target,omitempty"`
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended"`
	// Instant: the guest stood while it was read. Stopped is for how long.
	Instant bool          `json:"instant"`
	Stopped time.Duration `json:"stopped_ns"`
	// Torn says what of a running guest changed while it was read, "" if nothing
	// that was checked did.
	Torn string `json:"torn,omitempty"`

	// StopCPU is the processor whose stop was reported last.
	StopCPU int `json:"stop_cpu"`

	Minimal bool `json:"minimal"`
	// Depth is how many pointers a minimal dump followed.
	Depth int `json:"depth,omitempty"`
	// LeftOut says in a sentence what a minimal dump lacks.
	LeftOut string `json:"left_out,omitempty"`

	Image  *Image  `json:"image,omitempty"`
	Kernel string  `json:"kernel,omitempty"`
	Tables *Tables `json:"tables,omitempty"`
	// CPUs are in the order of the other notes.
	CPUs  []CPUInfo `json:"cpus,omitempty"`
	Notes []string  `json:"notes,omitempty"`
}

// Image names the image the guest was proved to run.
type Image struct {
	Name    string `json:"name"`
	Hash    string `json:"hash"`
	BuildID string `json:"build_id,omitempty"`
	Slide   Hex    `json:"slide"`
}

// Tables say where the page tables are. Format is "x86", "arm64" or
// "identity": virtual addresses are physical ones.
type Tables struct {
	Format string `json:"format"`
	// CR3 and LA57 are of x86.
	CR3  Hex  `json:"cr3,omitempty"`
	LA57 bool `json:"la57,omitempty"`
	// TCR, TTBR0 and TTBR1 are of arm64, EL1.
	TCR   Hex `json:"tcr,omitempty"`
	TTBR0 Hex `json:"ttbr0,omitempty"`
	TTBR1 Hex `json:"ttbr1,omitempty"`
}

// CPUInfo is what the other notes do not say of a processor.
type CPUInfo struct {
	// System are the system registers by gdb's names.
	System map[string]Hex `json:"system,omitempty"`
	// Registers are general registers the other notes have no word for.
	Registers map[string]Hex `json:"registers,omitempty"`
	// Unknown are the general registers that are not known: the other notes have
	// no word for that and say 0.
	Unknown []string `json:"unknown,omitempty"`
}

// Hex is a number that JSON has in hexadecimal, as a string: "0x1000".
type Hex uint64

func (h Hex) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%#x", uint64(h)), nil }

func (h *Hex) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 0, 64)
	*h = Hex(v)
	return err
}

// ErrInfo says that a UKDBG note is malformed.
var ErrInfo = errors.New("malformed UKDBG note")

// ParseInfo reads the content of a UKDBG note.
func ParseInfo(b []byte) (Info, error) {
	var i Info
	if len(b) > maxInfo {
		return i, fmt.Errorf("%w: %d bytes", ErrInfo, len(b))
	}
	if err := json.Unmarshal(b, &i); err != nil {
		return Info{}, fmt.Errorf("%w: %w", ErrInfo, err)
	}
	if i.Version < 1 {
		return Info{}, fmt.Errorf("%w: version %d", ErrInfo, i.Version)
	}
	return i, nil
}
