package unikraft

import (
	"context"
	"fmt"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/target"
)

// maxRing bounds the console ring that is read, in bytes.
const maxRing = 16 << 20

// Log returns what the console ring holds. Upstream Unikraft has none; images
// that have one export uk_console_ring, a pointer to
//
//	struct uk_console_ring { written, size, …, char data[]; }
//
// where byte i of all output is data[i % size].
func (k *Kernel) Log(ctx context.Context) ([]byte, error) {
	r, err := k.ring(ctx)
	if err != nil {
		return nil, err
	}
	held := min(r.written, r.size)
	buf := make([]byte, held)
	if err := target.ReadFull(ctx, k.cfg.Memory, buf, r.data); err != nil {
		return nil, fmt.Errorf("console log: ring: %w", err)
	}
	if r.written <= r.size {
		return buf, nil
	}
	at := r.written % r.size
	return append(buf[at:len(buf):len(buf)], buf[:at]...), nil
}

// LogRange returns where the console ring is, its header included.
func (k *Kernel) LogRange(ctx context.Context) (addr, size uint64, err error) {
	r, err := k.ring(ctx)
	return r.addr, r.data - r.addr + r.size, err
}

// ring is a console ring.
type ring struct{ addr, data, written, size uint64 }

func (k *Kernel) ring(ctx context.Context) (ring, error) {
	sym, _, ok := k.symbol("uk_console_ring")
	if !ok {
		return ring{}, absent("console log", "no console ring in this image: no symbol uk_console_ring")
	}
	l := &layouter{img: k.cfg.Image}
	written, size := l.required("uk_console_ring", "written"), l.required("uk_console_ring", "size")
	data := l.required("uk_console_ring", "data")
	if len(l.missing) > 0 {
		return ring{}, absent("console log", l.missing[0])
	}
	at, err := target.ReadUint(ctx, k.cfg.Memory, sym, 8)
	if err != nil {
		return ring{}, fmt.Errorf("console log: uk_console_ring: %w", err)
	}
	head := make([]byte, data.off)
	if err := target.ReadFull(ctx, k.cfg.Memory, head, at); err != nil {
		return ring{}, fmt.Errorf("console log: ring header: %w", err)
	}
	n, okN := written.get(head)
	room, okSize := size.get(head)
	if !okN || !okSize || room == 0 || room > maxRing {
		return ring{}, fmt.Errorf("console log: the ring at %#x claims a size of %d bytes; is it overwritten?", at, room)
	}
	return ring{addr: at, data: at + data.off, written: n, size: room}, nil
}

// Uptime returns the newest time a scheduler wrote down, which is at most one
// time slice old.
func (k *Kernel) Uptime(ctx context.Context) (kernel.Uptime, error) {
	l := &k.layout
	head, _, ok := k.symbol("uk_sched_head")
	if !ok || !l.lastSwitch.ok || !l.schedNext.ok || l.schedSize == 0 {
		return kernel.Uptime{}, absent("uptime", "no scheduler that writes down the time of its last switch")
	}
	f := newFetcher(k.cfg.Memory)
	var scheds *walk
	up := kernel.Uptime{AtLeast: true}
	for {
		if b, ok, err := f.get(head, 8); err != nil {
			return up, fmt.Errorf("uptime: uk_sched_head: %w", err)
		} else if ok && scheds == nil {
			scheds = newWalk("list of schedulers", le64(b), l.schedNext, l.schedSize, maxScheds)
		}
		if scheds != nil {
			scheds.step(f)
			for _, addr := range scheds.nodes {
				if b, ok, err := f.get(addr+l.lastSwitch.off, int(l.lastSwitch.size)); ok && err == nil {
					up.Nanoseconds = max(up.Nanoseconds, le64(b))
				}
			}
		}
		if more, err := f.run(ctx); err != nil {
			return up, fmt.Errorf("uptime: %w", err)
		} else if !more {
			break
		}
	}
	if up.Nanoseconds == 0 {
		return up, absent("uptime", "no scheduler has switched yet")
	}
	return up, nil
}
