package gdbstub

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// writer is the flow of M packets that writes data.
type writer struct {
	addr  uint64
	data  []byte
	chunk int
	sent  int
	got   int   // bytes acknowledged
	sizes []int // of the packets in flight, in order
}

func (w *writer) next(cl *call, p []byte) ([]byte, int, bool) {
	if w.sent == len(w.data) {
		return nil, 0, false
	}
	n := min(w.chunk, len(w.data)-w.sent)
	cl.reset(replyRaw)
	p = packet.AppendUint(append(p, 'M'), w.addr+uint64(w.sent))
	p = append(packet.AppendUint(append(p, ','), uint64(n)), ':')
	p = packet.AppendHex(p, w.data[w.sent:w.sent+n])
	w.sent += n
	w.sizes = append(w.sizes, n)
	return p, 16, true
}

func (w *writer) done(cl *call) error {
	n := w.sizes[0]
	w.sizes = w.sizes[1:]
	if err := cl.refused(fmt.Sprintf("M%x,%x", w.addr+uint64(w.got), n)); err != nil {
		return err
	}
	if string(cl.raw) != "OK" {
		return fmt.Errorf("%w: %.20q to a write", errCorrupt, cl.raw)
	}
	w.got += n
	return nil
}

// WriteMemory writes p at addr. Where breakpoints of ours are in the way, what
// is written is what comes to light when they are removed.
func (c *Client) WriteMemory(ctx context.Context, p []byte, addr uint64) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.op.Unlock()
	if len(p) == 0 {
		return nil
	}
	if addr+uint64(len(p)-1) < addr {
		return &target.FaultError{Addr: addr, Why: "the range goes beyond the end of the address space"}
	}
	if err := c.noteMemory(ctx, addr, len(p)); err != nil {
		return err
	}
	return c.writeAround(ctx, p, addr)
}

// writeAround writes with the breakpoints in the way taken out meanwhile.
func (c *Client) writeAround(ctx context.Context, p []byte, addr uint64) error {
	var hidden []target.Breakpoint
	for i := range c.breaks {
		if c.breaks[i].overlaps(addr, len(p)) {
			hidden = append(hidden, c.breaks[i].Breakpoint)
		}
	}
	for i, b := range hidden {
		if err := c.remove(ctx, b); err != nil {
			return errors.Join(fmt.Errorf("taking out the breakpoint at %#x for a write: %w", b.Addr, err), c.insertAll(ctx, hidden[:i]))
		}
	}
	err := c.writeRaw(ctx, p, addr)
	return errors.Join(err, c.insertAll(ctx, hidden))
}

func (c *Client) insertAll(ctx context.Context, list []target.Breakpoint) error {
	var errs []error
	for _, b := range list {
		errs = append(errs, c.insert(ctx, b))
	}
	return errors.Join(errs...)
}

// writeRaw writes, and reads back what a stub wrote that does not tell failures.
func (c *Client) writeRaw(ctx context.Context, p []byte, addr uint64) error {
	// The address, lengths and framing take some of the packet.
	w := writer{addr: addr, data: p, chunk: max(minChunk/2, c.chunk-32)}
	if err := c.exchange(ctx, &w); err != nil {
		var s *StubError
		if errors.As(err, &s) && s.Code != "" {
			return fmt.Errorf("write at %#x: %w (%w)", addr, &target.FaultError{Addr: addr + uint64(w.got), Why: s.Code}, err)
		}
		return fmt.Errorf("write at %#x: %w", addr, err)
	}
	if !c.prof.inImage {
		return nil
	}
	// Unikraft's stub says OK also if it could not write.
	back := make([]byte, len(p))
	r := [1]target.Range{{Addr: addr, Data: back}}
	if err := c.readRanges(ctx, r[:]); err != nil {
		return err
	}
	for i := range p {
		if i >= r[0].N || back[i] != p[i] {
			return fmt.Errorf("write at %#x: %w", addr, &target.FaultError{Addr: addr + uint64(i), Why: "the stub said OK but the byte did not change"})
		}
	}
	return nil
}
