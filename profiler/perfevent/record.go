package perfevent

import "encoding/binary"

// Mode is what a processor ran when it was sampled.
type Mode uint8

// The modes, as PERF_RECORD_MISC_CPUMODE numbers them.
const (
	UnknownMode Mode = 0
	HostKernel  Mode = 1
	HostUser    Mode = 2
	Hypervisor  Mode = 3
	GuestKernel Mode = 4
	GuestUser   Mode = 5

	modeMask = 7
)

// Guest reports whether the sample's address is one of the guest's.
func (m Mode) Guest() bool { return m == GuestKernel || m == GuestUser }

// Sample is one sample of one thread.
type Sample struct {
	IP   uint64
	Mode Mode
	// Period is what the sample stands for: nanoseconds of the kernel's clock, or
	// cycles.
	Period uint64
}

// Losses count what did not come through a ring as it should.
type Losses struct {
	// Lost is how many samples the kernel had no room for, by its own count.
	Lost uint64
	// Throttled is how often the kernel held sampling back because it took too much
	// of the host's time.
	Throttled uint64
	// Torn is how often what the ring held made no sense, and was passed over.
	Torn uint64
}

func (l *Losses) add(o Losses) {
	l.Lost += o.Lost
	l.Throttled += o.Throttled
	l.Torn += o.Torn
}

// Types of records, of enum perf_event_type.
const (
	recordLost        = 2
	recordThrottle    = 5
	recordSample      = 9
	recordLostSamples = 13

	headerSize = 8 // u32 type, u16 misc, u16 size: the host's byte order, as all that follows
)

// record is a record's header.
type record struct {
	kind uint32
	misc uint16
	size uint16 // all of it, in bytes
}

func parseHeader(b []byte) record {
	return record{binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:])}
}

// parse takes a record's body apart: of a sample, which has the instruction pointer
// and the period (PERF_SAMPLE_IP, PERF_SAMPLE_PERIOD), or of what tells of a loss.
// Records of other types are nothing to us.
func (h record) parse(body []byte) (s Sample, isSample bool, l Losses) {
	word := func(i int) (uint64, bool) {
		if len(body) < 8*i+8 {
			l.Torn++
			return 0, false
		}
		return binary.NativeEndian.Uint64(body[8*i:]), true
	}
	switch h.kind {
	case recordSample:
		period, ok := word(1)
		if !ok {
			return s, false, l
		}
		ip, _ := word(0)
		return Sample{IP: ip, Mode: Mode(h.misc & modeMask), Period: period}, true, l
	case recordLost:
		l.Lost, _ = word(1) // behind the event's number
	case recordLostSamples:
		l.Lost, _ = word(0)
	case recordThrottle:
		l.Throttled++
	}
	return s, false, l
}
