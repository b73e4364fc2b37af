package tracebuf

import "encoding/binary"

// Ext is what an extended record tells beyond a plain one.
type Ext struct {
	// CPU is the processor that recorded, from 0.
	CPU uint16
	// Thread is the address of the scheduler's thread, 0 where none ran.
	Thread uint64
	// Seq numbers the records of one CPU without gaps.
	Seq uint64
	// Stack is the backtrace, innermost return address first: little-endian
	// 8-byte run-time addresses. It aliases the scanned data.
	Stack []byte
}

// Frame returns return address i of the backtrace.
func (e *Ext) Frame(i int) uint64 { return binary.LittleEndian.Uint64(e.Stack[8*i:]) }

// Depth is the number of return addresses.
func (e *Ext) Depth() int { return len(e.Stack) / 8 }

// An extended record is a plain one with another magic and, between header and
// arguments, 20 bytes and the backtrace; they count in the header's size.
const (
	extendedMagic = 0x78685254 // "TRhx"
	extFixed      = 20         // u16 CPU, u8 depth, u8 zero, u64 thread, u64 sequence number
)

// parse reads the part in front of the arguments and returns how long it is.
func (e *Ext) parse(b []byte) (n int, ok bool) {
	if len(b) < extFixed || b[3] != 0 {
		return 0, false
	}
	n = extFixed + 8*int(b[2])
	if n > len(b) {
		return 0, false
	}
	e.CPU = binary.LittleEndian.Uint16(b)
	e.Thread = binary.LittleEndian.Uint64(b[4:])
	e.Seq = binary.LittleEndian.Uint64(b[12:])
	e.Stack = b[extFixed:n:n]
	return n, true
}

// AppendExtended appends an extended record: what a reader of another layout
// than the plain buffer's makes of it, so that everything above reads both.
// Cookie is a run-time address, args the encoded arguments.
func AppendExtended(dst []byte, time, cookie uint64, e Ext, args []byte) []byte {
	depth := min(e.Depth(), 255)
	dst = binary.LittleEndian.AppendUint32(dst, extendedMagic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(extFixed+8*depth+len(args)))
	dst = binary.LittleEndian.AppendUint64(dst, time)
	dst = binary.LittleEndian.AppendUint64(dst, cookie)
	dst = binary.LittleEndian.AppendUint16(dst, e.CPU)
	dst = append(dst, byte(depth), 0)
	dst = binary.LittleEndian.AppendUint64(dst, e.Thread)
	dst = binary.LittleEndian.AppendUint64(dst, e.Seq)
	dst = append(dst, e.Stack[:8*depth]...)
	return append(dst, args...)
}
