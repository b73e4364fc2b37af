package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/ukdbg/ukdbg/profiler"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/vmm"
)

// ProfileSource is what takes the samples of a CPU profile.
type ProfileSource string

// The sources, the gentlest first. AutoSource takes the first that the guest has.
const (
	AutoSource ProfileSource = ""
	// MonitorSource asks the VMM's monitor for the registers: nothing stops, stacks
	// are read in the VMM's memory.
	MonitorSource ProfileSource = "monitor"
	// PerfSource has the host's kernel sample the guest's instruction pointers, under
	// KVM: nothing stops, but callers are not known.
	PerfSource ProfileSource = "perf"
	// StubSource stops the guest for a moment at each sample.
	StubSource ProfileSource = "stub"
)

// SourceError says that the guest cannot be sampled by a source.
type SourceError struct {
	Source ProfileSource
	Err    error
	// Change is the one change that would enable it, "" if nothing would.
	Change string
	// Stub is the address of the VMM's stub, by which the guest can be sampled in
	// short stops, "" if it has none.
	Stub string
}

func (e *SourceError) Error() string {
	text := fmt.Sprintf("the guest cannot be sampled by %s: %v", e.Source, e.Err)
	if e.Change != "" {
		text += "; " + e.Change
	}
	return text
}

func (e *SourceError) Unwrap() error { return e.Err }

// profileSource decides what takes the samples of a profile of what runs.
func (s *Session) profileSource(ctx context.Context, opt ProfileOptions) (ProfileSource, error) {
	_, stops := s.observer.(*brief)
	over := StubSource
	if s.Observing() && !stops {
		over = MonitorSource
	}
	threads := opt.Kind != profiler.CPU
	switch {
	case threads && opt.Source == PerfSource:
		return "", &SourceError{Source: PerfSource, Err: fmt.Errorf("a profile of kind %s walks the guest's threads, of which the host's kernel knows nothing", opt.Kind)}
	case threads && (opt.Source == AutoSource || opt.Source == over):
		return over, nil // MonitorSource: memory is all it takes
	case opt.Source == PerfSource && !s.Observing():
		return "", &SourceError{Source: PerfSource, Err: errors.New("the guest stands under control"), Change: "let go of it, and take ukdbg profile"}
	case opt.Source == PerfSource:
		return PerfSource, nil
	case opt.Source != AutoSource && opt.Source != over:
		return "", &SourceError{Source: opt.Source, Err: fmt.Errorf("this session reaches it by %s", over), Change: "name the other way as target: ukdbg ls shows them"}
	case over == MonitorSource && len(s.cpus) == 0:
		_, err := s.observer.ReadRegisters(ctx, 0)
		if err == nil {
			err = errors.New("no processor is known")
		}
		if opt.Source == MonitorSource {
			return "", &SourceError{Source: MonitorSource, Err: err}
		}
		return PerfSource, nil
	}
	return over, nil
}

// SourceTarget is the address by which a guest is sampled by a source, where that is
// another way to the same guest of this host: the VMM's monitor, or its stub.
func SourceTarget(ctx context.Context, address string, source ProfileSource) (string, error) {
	spec, err := target.ParseSpec(address)
	if err != nil {
		return "", mark(err, ErrUsage)
	}
	way, err := reachable(ctx, spec)
	if err != nil {
		return "", err
	}
	stub := way.Scheme == target.TCP || way.Scheme == target.Unix || way.Scheme == target.Serial || way.Scheme == target.Exec
	if way.Scheme == target.Core || source == AutoSource || source == PerfSource || stub == (source == StubSource) {
		return address, nil
	}
	p, ok := processAt(ctx, way)
	if !ok {
		return "", &SourceError{Source: source, Err: errors.New("its VMM is not on this host, or not to be seen"), Change: "name the way as target"}
	}
	if source == StubSource {
		if len(p.GDB) == 0 {
			return "", &SourceError{Source: source, Err: errors.New("its VMM has no GDB stub"), Change: "start QEMU with -gdb unix:PATH,server=on,wait=off"}
		}
		return p.GDB[0], nil
	}
	// Which monitor can be used shows when it is opened.
	return (target.Spec{Scheme: target.PID, Addr: strconv.Itoa(p.PID)}).String(), nil
}

// stubOf is the address of the VMM's stub, "" if it has none.
func stubOf(p vmm.Process) string {
	if len(p.GDB) == 0 || p.Kind == vmm.Firecracker {
		return "" // Firecracker's ends the VM
	}
	return p.GDB[0]
}
