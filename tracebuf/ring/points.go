package ring

import (
	"context"
	"fmt"

	"github.com/ukdbg/ukdbg/target"
)

// pointMagic is UKTRACE_POINT_MAGIC, "uktp".
const pointMagic = 0x70746b75

// MaxFrames is the most return addresses a record can have.
const MaxFrames = 16

// Point is a tracepoint's switch in the guest.
type Point struct {
	// Addr is its run-time address, Cookie that of the tracepoint's definition.
	Addr, Cookie uint64
	Enabled      bool
	// Frames is how many return addresses its records get.
	Frames int
}

// Points reads all switches, in the order of the image.
func (r *Rings) Points(ctx context.Context) ([]Point, error) {
	b := make([]byte, r.l.pointSize*uint64(r.nPoint))
	if err := target.ReadFull(ctx, r.mem, b, r.points); err != nil {
		return nil, fmt.Errorf("reading the tracepoints' switches: %w", err)
	}
	points := make([]Point, 0, r.nPoint)
	for i := range r.nPoint {
		p := b[uint64(i)*r.l.pointSize:][:r.l.pointSize]
		addr := r.points + uint64(i)*r.l.pointSize
		if m := r.l.pointMagic.get(p); m != pointMagic {
			return nil, fmt.Errorf("%w: magic %#x of the tracepoint at %#x", ErrUntrusted, m, addr)
		}
		points = append(points, Point{Addr: addr, Cookie: r.l.pointCookie.get(p), Enabled: r.l.enabled.get(p) != 0, Frames: int(r.l.frames.get(p))})
	}
	return points, nil
}

// SetPoint changes a switch: two bytes in the guest, each read by it as one. The
// change holds until the next one or the guest's end.
func (r *Rings) SetPoint(ctx context.Context, w target.MemoryWriter, p Point) error {
	if p.Frames < 0 || p.Frames > MaxFrames {
		return fmt.Errorf("%d return addresses a record: at most %d", p.Frames, MaxFrames)
	}
	enabled := byte(0)
	if p.Enabled {
		enabled = 1
	}
	if err := w.WriteMemory(ctx, []byte{byte(p.Frames)}, p.Addr+r.l.frames.off); err != nil {
		return fmt.Errorf("setting the tracepoint at %#x: %w", p.Addr, err)
	}
	if err := w.WriteMemory(ctx, []byte{enabled}, p.Addr+r.l.enabled.off); err != nil {
		return fmt.Errorf("setting the tracepoint at %#x: %w", p.Addr, err)
	}
	return nil
}

// SetOn stops all tracepoints or lets those that are enabled go on.
func (r *Rings) SetOn(ctx context.Context, w target.MemoryWriter, on bool) error {
	b := make([]byte, 4)
	if on {
		b[0] = 1
	}
	if err := w.WriteMemory(ctx, b, r.header+r.l.on.off); err != nil {
		return fmt.Errorf("switching the rings: %w", err)
	}
	return nil
}
