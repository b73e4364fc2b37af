package recording

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/ukdbg/ukdbg/tracebuf"
)

// Start says whose records follow.
type Start struct {
	// Format is Format, Version the format's.
	Format  string `json:"format"`
	Version int    `json:"version"`
	// Program is what wrote it.
	Program string `json:"program,omitempty"`
	// Instance is the UUID of the guest's VM, or what stands for it. Generation
	// counts how often that VM was set back to a snapshot. Clones of one
	// snapshot differ in Instance, so ids made of the two and of a record's
	// position are never shared.
	Instance   string `json:"instance"`
	Generation uint32 `json:"generation"`
	// Target is where it was recorded, Name what people call it.
	Target string `json:"target,omitempty"`
	Name   string `json:"name,omitempty"`
	// Image is the file's base name, ImageHash the hash of its contents that
	// symbolizer computes, BuildID the linker's, if any.
	Image     string `json:"image,omitempty"`
	ImageHash string `json:"image_hash,omitempty"`
	BuildID   string `json:"build_id,omitempty"`
	Arch      string `json:"arch,omitempty"`
	Kernel    string `json:"kernel,omitempty"`
	// Started is the host's Unix time in nanoseconds.
	Started int64 `json:"started_unix_ns,omitempty"`
	// Buffer is the size of the guest's buffer in bytes.
	Buffer uint64 `json:"buffer_bytes,omitempty"`
	// KeyVals are the image's own: section .uk_trace_keyvals.
	KeyVals tracebuf.KeyVals `json:"keyvals,omitempty"`
	// Switch is the tracepoint by which the scheduler tells its switches.
	Switch *SwitchPoint `json:"switch,omitempty"`
}

// SwitchPoint names a scheduler's tracepoint and which arguments of it are the
// thread that leaves, -1 for none, and the one that runs next.
type SwitchPoint struct {
	Name string `json:"name"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

// Segment opens a stretch of the guest's clock.
type Segment struct {
	// Number counts from 0; Data and Lost name theirs.
	Number uint32 `json:"segment"`
	// Generation grows by one with each restore that is seen.
	Generation uint32 `json:"generation"`
	// Reason is "start", "pause" (the guest stood still while the host's time
	// went on) or "restore" (the guest's time went back).
	Reason string `json:"reason"`
	// From is the guest's time in nanoseconds from which it holds.
	From uint64 `json:"from_ns"`
	// Paused is how long the guest stood still, as far as is known.
	Paused int64 `json:"paused_ns,omitempty"`
}

// Threads names threads by their address.
type Threads struct {
	Threads []ThreadName `json:"threads"`
}

// ThreadName is one of them.
type ThreadName struct {
	Address uint64 `json:"address"`
	Name    string `json:"name"`
}

// End closes a recording.
type End struct {
	Records uint64 `json:"records"`
	Drains  uint64 `json:"drains"`
	// LostPeriods is how many periods were lost, Lost their length, by the
	// guest's clock.
	LostPeriods uint64 `json:"lost_periods"`
	Lost        uint64 `json:"lost_ns"`
	// Stopped is for how long the guest stood still for the recording, Longest
	// the longest stop; nanoseconds.
	Stopped int64 `json:"stopped_ns"`
	Longest int64 `json:"longest_stop_ns"`
	// Ended is the host's Unix time in nanoseconds.
	Ended int64 `json:"ended_unix_ns"`
}

// dataBytes is the size of an encoded Data.
const dataBytes = 64

// Flags of a Data.
const (
	// Torn: the guest recorded while it was read.
	Torn uint32 = 1 << iota
	// Full: nothing more fitted; what came later is lost.
	Full
)

// Data says of which time the records of a block are. It is stored before them
// and not compressed, so that a block can be passed over.
type Data struct {
	Segment, Flags uint32
	// Drain counts the readings of the guest's buffer; a large one takes several
	// blocks.
	Drain uint64
	// First and Last are the times of the first and the last good record by the
	// guest's clock, Records how many good ones there are.
	First, Last, Records uint64
	// After and Before are the host's Unix times in nanoseconds between which
	// the records were written, 0 where that is not known.
	After, Before int64
	// Slide is run-time minus link-time address of the records' cookies.
	Slide uint64
}

func (d *Data) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, d.Segment)
	dst = binary.LittleEndian.AppendUint32(dst, d.Flags)
	for _, v := range [...]uint64{d.Drain, d.First, d.Last, d.Records, uint64(d.After), uint64(d.Before), d.Slide} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return dst
}

func parseData(b []byte) Data {
	u64 := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	return Data{
		Segment: binary.LittleEndian.Uint32(b), Flags: binary.LittleEndian.Uint32(b[4:]),
		Drain: u64(1), First: u64(2), Last: u64(3), Records: u64(4), After: int64(u64(5)), Before: int64(u64(6)), Slide: u64(7),
	}
}

// Why records are missing.
const (
	// LostFull: the guest's buffer was full.
	LostFull uint32 = 1
	// LostOverwritten: a ring buffer went round before it was read.
	LostOverwritten uint32 = 2
	// LostDamaged: bytes of the guest's buffer were no records.
	LostDamaged uint32 = 3
)

// Lost is a period whose records are missing.
type Lost struct {
	Segment, Reason uint32
	// From is the time of the last record before, To that of the first after,
	// by the guest's clock; To is 0 where there is none.
	From, To uint64
	// Records is how many are missing, Unknown where nobody counted.
	Records uint64
	// Bytes is how many bytes were passed over.
	Bytes uint64
}

// Unknown is a count that is not known.
const Unknown = ^uint64(0)

const lostBytes = 40

func (l *Lost) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, l.Segment)
	dst = binary.LittleEndian.AppendUint32(dst, l.Reason)
	for _, v := range [...]uint64{l.From, l.To, l.Records, l.Bytes} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return dst
}

// Length is how long the period was by the guest's clock, 0 if its end is not
// known.
func (l *Lost) Length() uint64 {
	if l.To < l.From {
		return 0
	}
	return l.To - l.From
}

// Data returns the head of a KindData.
func (b *Block) Data() Data { return parseData(b.stored[:dataBytes]) }

// Lost decodes a KindLost.
func (b *Block) Lost() (Lost, error) {
	if len(b.stored) < lostBytes || b.codec != plain {
		return Lost{}, fmt.Errorf("lost block at offset %#x: %d bytes, want %d", b.Offset, len(b.stored), lostBytes)
	}
	u64 := func(i int) uint64 { return binary.LittleEndian.Uint64(b.stored[8*i:]) }
	return Lost{
		Segment: binary.LittleEndian.Uint32(b.stored), Reason: binary.LittleEndian.Uint32(b.stored[4:]),
		From: u64(1), To: u64(2), Records: u64(3), Bytes: u64(4),
	}, nil
}

// maxJSON bounds the JSON of a block: a thread list of a large guest.
const maxJSON = 4 << 20

// JSON decodes the contents of a Start, Segment, Threads or End block into v.
func (b *Block) JSON(v any) error {
	body, err := b.Body(nil)
	if err != nil {
		return err
	}
	if len(body) > maxJSON {
		return fmt.Errorf("%s block at offset %#x: %d bytes, more than %d", b.Kind, b.Offset, len(body), maxJSON)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%s block at offset %#x: %w", b.Kind, b.Offset, err)
	}
	return nil
}
