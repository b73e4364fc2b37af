package ringtest

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
)

// Where the guest has what: two small rings at fixed places.
const (
	Header = 0x1000
	Points = 0x1100
	Rings  = 0x2000
	Size   = 4096
	Most   = 768
	Ring   = 64 + Size + Most
	Cookie = 0x9000
)

// Image is the guest's image: a ring.Image.
type Image struct{}

func (Image) SymbolByName(name string) (addr, size uint64, ok bool) {
	switch name {
	case "uktrace":
		return Header, 80, true
	case "uktrace_rings":
		return Rings, 2 * Ring, true
	}
	return 0, 0, false
}

func (Image) SizeOf(name string) (uint64, error) {
	n, ok := map[string]uint64{"uktrace_header": 80, "uktrace_point": 16, "uktrace_record": 48, "uktrace_ring": Ring}[name]
	if !ok {
		return 0, errors.New("no such structure")
	}
	return n, nil
}

var fields = map[string][2]uint64{
	"uktrace_header.magic": {0, 8}, "uktrace_header.version": {8, 4}, "uktrace_header.header_size": {12, 4}, "uktrace_header.point_size": {16, 4},
	"uktrace_header.record_size": {20, 4}, "uktrace_header.ring_struct_size": {24, 4}, "uktrace_header.ring_size": {28, 4},
	"uktrace_header.max_record": {32, 4}, "uktrace_header.cpus": {36, 4}, "uktrace_header.checksum": {40, 4}, "uktrace_header.on": {44, 4},
	"uktrace_header.homeless": {48, 8}, "uktrace_header.rings": {56, 8}, "uktrace_header.points": {64, 8}, "uktrace_header.points_end": {72, 8},
	"uktrace_point.magic": {0, 4}, "uktrace_point.enabled": {4, 1}, "uktrace_point.frames": {5, 1}, "uktrace_point.cookie": {8, 8},
	"uktrace_ring.head": {0, 8}, "uktrace_ring.seq": {8, 8}, "uktrace_ring.data": {64, Size + Most},
	"uktrace_record.commit": {0, 8}, "uktrace_record.args_size": {8, 4}, "uktrace_record.cpu": {12, 2}, "uktrace_record.frames": {14, 1},
	"uktrace_record.seq": {16, 8}, "uktrace_record.time": {24, 8}, "uktrace_record.cookie": {32, 8}, "uktrace_record.thread": {40, 8},
}

func (Image) Field(structure, path string) (off, size uint64, err error) {
	f, ok := fields[structure+"."+path]
	if !ok {
		return 0, 0, errors.New("no such member")
	}
	return f[0], f[1], nil
}

// Guest is the memory, and a writer as uktrace.c is.
type Guest struct {
	// Mem is the memory, from address 0.
	Mem []byte
	// OnRead is called after each read.
	OnRead func()
	// Hole is a stretch that is in no memory, if it is not empty.
	Hole [2]uint64
}

// NewGuest returns one that has recorded nothing.
func NewGuest() *Guest {
	g := &Guest{Mem: make([]byte, Rings+2*Ring)}
	h := g.Mem[Header:]
	copy(h, "UKTRACE\x00")
	sum := uint32(2166136261)
	for i, w := range []uint32{1, 80, 16, 48, Ring, Size, Most, 2} {
		binary.LittleEndian.PutUint32(h[8+4*i:], w)
		sum = (sum ^ w) * 16777619
	}
	binary.LittleEndian.PutUint32(h[40:], sum)
	binary.LittleEndian.PutUint32(h[44:], 1)
	binary.LittleEndian.PutUint64(h[56:], Rings)
	binary.LittleEndian.PutUint64(h[64:], Points)
	binary.LittleEndian.PutUint64(h[72:], Points+16)
	binary.LittleEndian.PutUint32(g.Mem[Points:], 0x70746b75)
	g.Mem[Points+4] = 1
	binary.LittleEndian.PutUint64(g.Mem[Points+8:], Cookie)
	return g
}

func (g *Guest) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	if addr >= uint64(len(g.Mem)) {
		return 0, &target.FaultError{Addr: addr}
	}
	if end := addr + uint64(len(p)); addr < g.Hole[1] && end > g.Hole[0] {
		return 0, &target.FaultError{Addr: max(addr, g.Hole[0])}
	}
	n := copy(p, g.Mem[addr:])
	if g.OnRead != nil {
		g.OnRead()
	}
	if n < len(p) {
		return n, &target.FaultError{Addr: addr + uint64(n)}
	}
	return n, nil
}

// Head is how many bytes a CPU has reserved since boot.
func (g *Guest) Head(cpu int) uint64 { return binary.LittleEndian.Uint64(g.Mem[Rings+cpu*Ring:]) }

// Reserve takes bytes of a CPU's ring, Number a sequence number.
func (g *Guest) Reserve(cpu int, n uint64) (pos uint64) {
	head := g.Mem[Rings+cpu*Ring:]
	pos = binary.LittleEndian.Uint64(head)
	binary.LittleEndian.PutUint64(head, pos+n)
	return pos
}

func (g *Guest) Number(cpu int) (seq uint64) {
	b := g.Mem[Rings+cpu*Ring+8:]
	seq = binary.LittleEndian.Uint64(b)
	binary.LittleEndian.PutUint64(b, seq+1)
	return seq
}

// Fill writes a record of the tracepoint "n %u" at pos and completes it.
func (g *Guest) Fill(cpu int, pos, seq, time uint64, value uint32) {
	b := g.Mem[Rings+uint64(cpu)*Ring+64+pos%Size:]
	binary.LittleEndian.PutUint32(b[8:], 4)
	binary.LittleEndian.PutUint16(b[12:], uint16(cpu))
	b[14] = 0
	binary.LittleEndian.PutUint64(b[16:], seq)
	binary.LittleEndian.PutUint64(b[24:], time)
	binary.LittleEndian.PutUint64(b[32:], Cookie)
	binary.LittleEndian.PutUint32(b[48:], value)
	binary.LittleEndian.PutUint64(b, pos|1)
}

// Length is that of a record.
const Length = 56

// Write writes a record.
func (g *Guest) Write(cpu int, time uint64, value uint32) {
	pos := g.Reserve(cpu, Length)
	g.Fill(cpu, pos, g.Number(cpu), time, value)
}

// Definitions are those of its one tracepoint.
func Definitions(t testing.TB) *tracebuf.Definitions {
	t.Helper()
	b := []byte("TPde")
	b = binary.LittleEndian.AppendUint32(b, 4+4+8+3+1+1+2+3)
	b = binary.LittleEndian.AppendUint64(b, Cookie)
	b = append(b, 1, 2, 3, 4, 0)
	b = append(b, "n\x00%u\x00"...)
	defs, err := tracebuf.ParseDefinitions(b)
	if err != nil {
		t.Fatal(err)
	}
	return defs
}
