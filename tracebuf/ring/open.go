package ring

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/ukdbg/ukdbg/target"
)

// ErrNone says that the image was built without uktrace.
var ErrNone = errors.New("the image has no uktrace rings")

// ErrUntrusted says that what lies at the symbol uktrace is not a header of
// this version that agrees with the image.
var ErrUntrusted = errors.New("no trustworthy uktrace header")

// Version is the format's version that is understood.
const Version = 1

// Limits of what a header may ask for.
const (
	maxCPUs   = 1024
	maxRing   = 256 << 20
	maxTotal  = 1 << 30 // bytes of all rings
	maxPoints = 1 << 16
	maxRecord = 64 << 10
)

// Rings are the trace rings of one guest.
type Rings struct {
	mem    target.Memory
	l      layout
	header uint64 // run-time address
	rings  uint64
	points uint64
	nPoint int

	// CPUs is how many rings there are, Size the bytes of one, MaxRecord those
	// of the longest record.
	CPUs            int
	Size, MaxRecord uint64
}

// Open finds the rings and proves that they are what the image says. slide is
// the image's run-time minus link-time address. The error is ErrNone if the
// image has none, ErrUntrusted if what is there cannot be believed.
func Open(ctx context.Context, mem target.Memory, img Image, slide uint64) (*Rings, error) {
	link, _, ok := img.SymbolByName("uktrace")
	if !ok {
		return nil, ErrNone
	}
	l, err := newLayout(img)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	r := &Rings{mem: mem, l: l, header: link + slide}
	b := make([]byte, l.headerSize)
	if err := target.ReadFull(ctx, mem, b, r.header); err != nil {
		return nil, fmt.Errorf("reading the uktrace header: %w", err)
	}
	if err := r.trust(b, img, slide); err != nil {
		return nil, fmt.Errorf("%w at %#x: %w", ErrUntrusted, r.header, err)
	}
	return r, nil
}

// trust checks a header against itself and against the image.
func (r *Rings) trust(b []byte, img Image, slide uint64) error {
	l := &r.l
	if m := b[l.magic.off:][:8]; string(m) != "UKTRACE\x00" {
		return fmt.Errorf("magic %q", m)
	}
	var w [len(sumNames)]uint64
	sum := uint32(2166136261)
	for i := range w {
		w[i] = l.sums[i].get(b)
		sum = (sum ^ uint32(w[i])) * 16777619
	}
	version, size, cpus := w[0], w[5], w[7]
	if version != Version {
		return fmt.Errorf("version %d; this ukdbg reads %d", version, Version)
	}
	if got := uint32(l.checksum.get(b)); got != sum {
		return fmt.Errorf("checksum %#08x, its fields give %#08x", got, sum)
	}
	if w[1] != l.headerSize || w[2] != l.pointSize || w[3] != l.recordSize || w[4] != l.ringSize {
		return fmt.Errorf("its structures have %d, %d, %d and %d bytes, the image's %d, %d, %d and %d",
			w[1], w[2], w[3], w[4], l.headerSize, l.pointSize, l.recordSize, l.ringSize)
	}
	r.MaxRecord = w[6]
	if r.MaxRecord < l.recordSize || r.MaxRecord > maxRecord || size > maxRing || bits.OnesCount64(size) != 1 || size < 4*r.MaxRecord ||
		l.data.size != size+r.MaxRecord {
		return fmt.Errorf("rings of %d bytes with records of at most %d in %d bytes", size, r.MaxRecord, l.data.size)
	}
	if cpus == 0 || cpus > maxCPUs || cpus*l.ringSize > maxTotal {
		return fmt.Errorf("%d rings of %d bytes", cpus, l.ringSize)
	}
	r.CPUs, r.Size = int(cpus), size
	link, n, ok := img.SymbolByName("uktrace_rings")
	r.rings = l.rings.get(b)
	if !ok || n != cpus*l.ringSize || r.rings != link+slide {
		return fmt.Errorf("its rings lie at %#x, the image's at %#x", r.rings, link+slide)
	}
	r.points = l.points.get(b)
	span := l.pointsEnd.get(b) - r.points
	if span%l.pointSize != 0 || span/l.pointSize > maxPoints {
		return fmt.Errorf("tracepoints from %#x to %#x", r.points, r.points+span)
	}
	r.nPoint = int(span / l.pointSize)
	return nil
}

// State is what the guest counts of itself.
type State struct {
	// On is false if all tracepoints are stopped.
	On bool
	// Written is the records of each CPU since boot.
	Written []uint64
	// Homeless is the records of CPUs that have no ring; they are lost.
	Homeless uint64
	// Unreadable is how many rings could not be read and are not counted: those
	// of CPUs that never recorded, where the guest's memory is given out by use.
	Unreadable int
}

// State reads the switch and the counters.
func (r *Rings) State(ctx context.Context) (State, error) {
	var on, homeless [8]byte
	seq := make([]byte, 8*r.CPUs)
	err := readAll(ctx, r.mem, []target.Range{
		{Addr: r.header + r.l.on.off, Data: on[:4]},
		{Addr: r.header + r.l.homeless.off, Data: homeless[:]},
	})
	if err != nil {
		return State{}, err
	}
	var ranges []target.Range
	for i := range r.CPUs {
		ranges = append(ranges, target.Range{Addr: r.ring(i) + r.l.seq.off, Data: seq[8*i:][:8]})
	}
	unreadable, err := readCounters(ctx, r.mem, ranges)
	if err != nil {
		return State{}, err
	}
	s := State{Unreadable: unreadable, On: binary.LittleEndian.Uint32(on[:]) != 0, Homeless: binary.LittleEndian.Uint64(homeless[:])}
	for i := range r.CPUs {
		s.Written = append(s.Written, binary.LittleEndian.Uint64(seq[8*i:]))
	}
	return s, nil
}

func (r *Rings) ring(cpu int) uint64 { return r.rings + uint64(cpu)*r.l.ringSize }

// readCounters reads counters of rings. A ring
// that the guest has never written to may be in no memory yet: then its counters
// are 0, and n tells how many counters that were. If that is so of all, the
// error says why.
func readCounters(ctx context.Context, m target.Memory, ranges []target.Range) (n int, err error) {
	if err := target.ReadMany(ctx, m, ranges); err != nil {
		return 0, fmt.Errorf("reading the trace rings: %w", err)
	}
	var last error
	faults := 0
	for i := range ranges {
		g := &ranges[i]
		if g.N == len(g.Data) {
			continue
		}
		fault := (*target.FaultError)(nil)
		if g.Err != nil && !errors.As(g.Err, &fault) {
			return 0, fmt.Errorf("reading the trace rings: %w", g.Err)
		}
		clear(g.Data)
		last, faults = g.Err, faults+1
		if last == nil {
			last = &target.FaultError{Addr: g.Addr + uint64(g.N)}
		}
	}
	if faults == len(ranges) {
		return 0, fmt.Errorf("reading the trace rings: %w", last)
	}
	return faults, nil
}

// readAll reads ranges completely or fails.
func readAll(ctx context.Context, m target.Memory, ranges []target.Range) error {
	if err := target.ReadMany(ctx, m, ranges); err != nil {
		return fmt.Errorf("reading the trace rings: %w", err)
	}
	for _, g := range ranges {
		if g.N != len(g.Data) {
			err := g.Err
			if err == nil {
				err = &target.FaultError{Addr: g.Addr + uint64(g.N)}
			}
			return fmt.Errorf("reading the trace rings: %w", err)
		}
	}
	return nil
}
