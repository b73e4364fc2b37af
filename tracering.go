package ukdbg

import (
	"context"
	"encoding/binary"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
)

// rings opens the uktrace rings of the image; ring.ErrNone if it has none.
func (s *Session) rings(ctx context.Context) (*ring.Rings, error) {
	mem := target.Memory(s.mem)
	if v, ok := s.mem.(*view); ok {
		// What is remembered of a running guest would hide from the reader what
		// was overwritten while it read.
		mem = v.mem
	}
	return ring.Open(ctx, mem, s.kernelImage, s.mapping.Slide)
}

// appendRing appends a ring's record in the form that everything above reads.
func appendRing(dst []byte, r *ring.Record) []byte {
	var stack [8 * ring.MaxFrames]byte
	n := 0
	for _, f := range r.Frames[:min(len(r.Frames), ring.MaxFrames)] {
		binary.LittleEndian.PutUint64(stack[n:], f)
		n += 8
	}
	return tracebuf.AppendExtended(dst, r.Time, r.Cookie, tracebuf.Ext{
		CPU: uint16(r.CPU), Thread: r.Thread, Seq: r.Seq, Stack: stack[:n],
	}, r.Args)
}

// ringSnapshot reads what the rings hold now.
func ringSnapshot(ctx context.Context, rings *ring.Rings, defs *tracebuf.Definitions, slide uint64) (*tracebuf.Snapshot, error) {
	snap := &tracebuf.Snapshot{}
	rd := rings.NewReader(defs, slide, ring.Options{})
	err := rd.Poll(ctx, func(r *ring.Record) error {
		if r.Problem == tracebuf.Good {
			snap.Data = appendRing(snap.Data, r)
		}
		return nil
	})
	snap.Info.Used, snap.Info.Size = uint64(len(snap.Data)), rings.Size*uint64(rings.CPUs)
	return snap, err
}
