package ring_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
)

// A guest made by hand: two small rings at fixed places.
const (
	fakeHeader = 0x1000
	fakePoints = 0x1100
	fakeRings  = 0x2000
	fakeSize   = 4096
	fakeMost   = 768
	fakeRing   = 64 + fakeSize + fakeMost
	fakeCookie = 0x9000
)

type fakeImage struct{}

func (fakeImage) SymbolByName(name string) (addr, size uint64, ok bool) {
	switch name {
	case "uktrace":
		return fakeHeader, 80, true
	case "uktrace_rings":
		return fakeRings, 2 * fakeRing, true
	}
	return 0, 0, false
}

func (fakeImage) SizeOf(name string) (uint64, error) {
	n, ok := map[string]uint64{"uktrace_header": 80, "uktrace_point": 16, "uktrace_record": 48, "uktrace_ring": fakeRing}[name]
	if !ok {
		return 0, errors.New("no such structure")
	}
	return n, nil
}

var fakeFields = map[string][2]uint64{
	"uktrace_header.magic": {0, 8}, "uktrace_header.version": {8, 4}, "uktrace_header.header_size": {12, 4}, "uktrace_header.point_size": {16, 4},
	"uktrace_header.record_size": {20, 4}, "uktrace_header.ring_struct_size": {24, 4}, "uktrace_header.ring_size": {28, 4},
	"uktrace_header.max_record": {32, 4}, "uktrace_header.cpus": {36, 4}, "uktrace_header.checksum": {40, 4}, "uktrace_header.on": {44, 4},
	"uktrace_header.homeless": {48, 8}, "uktrace_header.rings": {56, 8}, "uktrace_header.points": {64, 8}, "uktrace_header.points_end": {72, 8},
	"uktrace_point.magic": {0, 4}, "uktrace_point.enabled": {4, 1}, "uktrace_point.frames": {5, 1}, "uktrace_point.cookie": {8, 8},
	"uktrace_ring.head": {0, 8}, "uktrace_ring.seq": {8, 8}, "uktrace_ring.data": {64, fakeSize + fakeMost},
	"uktrace_record.commit": {0, 8}, "uktrace_record.args_size": {8, 4}, "uktrace_record.cpu": {12, 2}, "uktrace_record.frames": {14, 1},
	"uktrace_record.seq": {16, 8}, "uktrace_record.time": {24, 8}, "uktrace_record.cookie": {32, 8}, "uktrace_record.thread": {40, 8},
}

func (fakeImage) Field(structure, path string) (off, size uint64, err error) {
	f, ok := fakeFields[structure+"."+path]
	if !ok {
		return 0, 0, errors.New("no such member")
	}
	return f[0], f[1], nil
}

// fakeGuest is the memory, and a writer as uktrace.c is.
type fakeGuest struct {
	b []byte
	// onRead is called after each read.
	onRead func()
	// hole is a stretch that is in no memory, if it is not empty.
	hole [2]uint64
}

func newFakeGuest() *fakeGuest {
	g := &fakeGuest{b: make([]byte, fakeRings+2*fakeRing)}
	h := g.b[fakeHeader:]
	copy(h, "UKTRACE\x00")
	sum := uint32(2166136261)
	for i, w := range []uint32{1, 80, 16, 48, fakeRing, fakeSize, fakeMost, 2} {
		binary.LittleEndian.PutUint32(h[8+4*i:], w)
		sum = (sum ^ w) * 16777619
	}
	binary.LittleEndian.PutUint32(h[40:], sum)
	binary.LittleEndian.PutUint32(h[44:], 1)
	binary.LittleEndian.PutUint64(h[56:], fakeRings)
	binary.LittleEndian.PutUint64(h[64:], fakePoints)
	binary.LittleEndian.PutUint64(h[72:], fakePoints+16)
	binary.LittleEndian.PutUint32(g.b[fakePoints:], 0x70746b75)
	g.b[fakePoints+4] = 1
	binary.LittleEndian.PutUint64(g.b[fakePoints+8:], fakeCookie)
	return g
}

func (g *fakeGuest) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	if addr >= uint64(len(g.b)) {
		return 0, &target.FaultError{Addr: addr}
	}
	if end := addr + uint64(len(p)); addr < g.hole[1] && end > g.hole[0] {
		return 0, &target.FaultError{Addr: max(addr, g.hole[0])}
	}
	n := copy(p, g.b[addr:])
	if g.onRead != nil {
		g.onRead()
	}
	if n < len(p) {
		return n, &target.FaultError{Addr: addr + uint64(n)}
	}
	return n, nil
}

// reserve takes bytes of a CPU's ring, number a sequence number.
func (g *fakeGuest) reserve(cpu int, n uint64) (pos uint64) {
	head := g.b[fakeRings+cpu*fakeRing:]
	pos = binary.LittleEndian.Uint64(head)
	binary.LittleEndian.PutUint64(head, pos+n)
	return pos
}

func (g *fakeGuest) number(cpu int) (seq uint64) {
	b := g.b[fakeRings+cpu*fakeRing+8:]
	seq = binary.LittleEndian.Uint64(b)
	binary.LittleEndian.PutUint64(b, seq+1)
	return seq
}

// fill writes a record of the tracepoint "n %u" at pos and completes it.
func (g *fakeGuest) fill(cpu int, pos, seq, time uint64, value uint32) {
	b := g.b[fakeRings+uint64(cpu)*fakeRing+64+pos%fakeSize:]
	binary.LittleEndian.PutUint32(b[8:], 4)
	binary.LittleEndian.PutUint16(b[12:], uint16(cpu))
	b[14] = 0
	binary.LittleEndian.PutUint64(b[16:], seq)
	binary.LittleEndian.PutUint64(b[24:], time)
	binary.LittleEndian.PutUint64(b[32:], fakeCookie)
	binary.LittleEndian.PutUint32(b[48:], value)
	binary.LittleEndian.PutUint64(b, pos|1)
}

const fakeLength = 56

func (g *fakeGuest) write(cpu int, time uint64, value uint32) {
	pos := g.reserve(cpu, fakeLength)
	g.fill(cpu, pos, g.number(cpu), time, value)
}

func fakeDefinitions(t testing.TB) *tracebuf.Definitions {
	t.Helper()
	b := []byte("TPde")
	b = binary.LittleEndian.AppendUint32(b, 4+4+8+3+1+1+2+3)
	b = binary.LittleEndian.AppendUint64(b, fakeCookie)
	b = append(b, 1, 2, 3, 4, 0)
	b = append(b, "n\x00%u\x00"...)
	defs, err := tracebuf.ParseDefinitions(b)
	if err != nil {
		t.Fatal(err)
	}
	return defs
}

func (g *fakeGuest) reader(t testing.TB, opt ring.Options) *ring.Reader {
	t.Helper()
	rings, err := ring.Open(t.Context(), g, fakeImage{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return rings.NewReader(fakeDefinitions(t), 0, opt)
}

// poll returns the values of the records and how many are told as lost.
func poll(t testing.TB, rd *ring.Reader) (values []uint64, lost uint64) {
	t.Helper()
	if err := rd.Poll(t.Context(), func(r *ring.Record) error {
		if r.Problem != tracebuf.Good {
			t.Errorf("%+v", r)
		}
		values, lost = append(values, r.Uint(0)), lost+r.Lost
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return values, lost
}

const short = 20 * time.Millisecond
