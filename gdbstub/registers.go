package gdbstub

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// errNoArch: without an architecture registers have no numbers.
var errNoArch = errors.New("the stub does not describe its registers; name the image so that its architecture is known")

// ReadRegisters reads the general registers of cpu. What the stub does not have
// or marks as unavailable is absent.
func (c *Client) ReadRegisters(ctx context.Context, cpu target.CPU) (target.Regs, error) {
	if err := c.enter(ctx); err != nil {
		return target.Regs{}, err
	}
	defer c.op.Unlock()
	return c.readRegisters(ctx, cpu)
}

func (c *Client) readRegisters(ctx context.Context, cpu target.CPU) (target.Regs, error) {
	if c.arch == nil {
		return target.Regs{}, errNoArch
	}
	regs := target.NewRegs(c.arch)
	err := c.readSlots(ctx, cpu, func(s *regSlot) bool { return s.dwarf != arch.None }, func(s *regSlot, v []byte) {
		if len(v) <= 8 {
			var b [8]byte
			copy(b[:], v)
			regs.Set(s.dwarf, binary.LittleEndian.Uint64(b[:]))
		}
	})
	return regs, err
}

// ReadSystemRegisters reads the registers of cpu that are no general ones, by
// the stub's names, as little-endian bytes.
func (c *Client) ReadSystemRegisters(ctx context.Context, cpu target.CPU) (map[string][]byte, error) {
	return c.readNamed(ctx, cpu, func(s *regSlot) bool { return s.dwarf == arch.None })
}

// ReadNamedRegisters is ReadSystemRegisters for some registers only, of either
// sort. A name the stub does not have is absent from the result.
func (c *Client) ReadNamedRegisters(ctx context.Context, cpu target.CPU, names ...string) (map[string][]byte, error) {
	want := map[string]bool{}
	for _, n := range names {
		want[n] = true
	}
	return c.readNamed(ctx, cpu, func(s *regSlot) bool { return want[s.name] })
}

func (c *Client) readNamed(ctx context.Context, cpu target.CPU, want func(*regSlot) bool) (map[string][]byte, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.op.Unlock()
	m := map[string][]byte{}
	err := c.readSlots(ctx, cpu, want, func(s *regSlot, v []byte) { m[s.name] = append([]byte(nil), v...) })
	return m, err
}

// readSlots reads the wanted registers and hands over the bytes of those that
// have a value. v is valid during the call.
func (c *Client) readSlots(ctx context.Context, cpu target.CPU, want func(*regSlot) bool, set func(s *regSlot, v []byte)) error {
	var a asks
	choose, err := c.selection(cpu)
	if err != nil {
		return err
	}
	if choose != "" {
		a.list = append(a.list, ask{text: choose})
	}
	g := len(a.list)
	a.list = append(a.list, ask{text: "g"})
	single := c.appendSingles(&a, want)
	if err := c.exchange(ctx, &a); err != nil {
		return err
	}
	if err := c.chosen(cpu, choose, a.list[0]); err != nil {
		return err
	}
	if err := a.list[g].call.refused("g"); err != nil {
		return err
	}
	raw := a.list[g].call.raw
	if n := len(raw) / 2; n != c.layout.inG {
		// The first g of this stub shows how far it goes.
		c.layout.inG = n
		a.list = a.list[:g+1]
		more := asks{}
		single = c.appendSingles(&more, want)
		if err := c.exchange(ctx, &more); err != nil {
			return err
		}
		a.list = append(a.list, more.list...)
	}
	buf := make([]byte, 0, 32)
	for i := range c.layout.slots {
		s := &c.layout.slots[i]
		if end := s.off + s.size(); want(s) && !s.unknown && end <= c.layout.inG {
			buf = emit(s, raw[2*s.off:2*end], buf, set)
		}
	}
	for i, s := range single {
		if q := a.list[g+1+i]; q.call.refused(q.text) == nil && len(q.call.raw) == 2*s.size() {
			buf = emit(s, q.call.raw, buf, set)
		}
	}
	return nil
}

// emit decodes one register; 'x' digits mean that it is not available.
func emit(s *regSlot, digits, buf []byte, set func(*regSlot, []byte)) []byte {
	if cap(buf) < s.size() {
		buf = make([]byte, s.size())
	}
	buf = buf[:s.size()]
	if _, ok := packet.DecodeHex(buf, digits); ok {
		set(s, buf)
	}
	return buf
}

// appendSingles adds a p packet for each wanted register behind the g packet.
func (c *Client) appendSingles(a *asks, want func(*regSlot) bool) (slots []*regSlot) {
	if c.layout.inG == 0 {
		return nil
	}
	for i := range c.layout.slots {
		s := &c.layout.slots[i]
		if s.off+s.size() > c.layout.inG && want(s) {
			a.list = append(a.list, ask{text: string(packet.AppendUint([]byte{'p'}, uint64(s.num)))})
			slots = append(slots, s)
		}
	}
	return slots
}

// chosen notes that cpu is selected, if the packet sent for it was taken.
func (c *Client) chosen(cpu target.CPU, sent string, q ask) error {
	if sent == "" {
		return nil
	}
	if err := q.call.refused(sent); err != nil {
		return fmt.Errorf("CPU %d: %w", cpu, err)
	}
	c.selected = int(cpu)
	return nil
}

// choose selects cpu for the packets that follow.
func (c *Client) choose(ctx context.Context, cpu target.CPU) error {
	text, err := c.selection(cpu)
	if err != nil || text == "" {
		return err
	}
	_, err = c.request(ctx, text)
	if err == nil {
		c.selected = int(cpu)
	}
	return err
}

// WriteRegister changes the general register with DWARF number num.
func (c *Client) WriteRegister(ctx context.Context, cpu target.CPU, num int, v uint64) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.op.Unlock()
	if err := c.noteRegister(ctx, cpu, num); err != nil {
		return err
	}
	return c.writeRegister(ctx, cpu, num, v)
}

func (c *Client) writeRegister(ctx context.Context, cpu target.CPU, num int, v uint64) error {
	if c.arch == nil {
		return errNoArch
	}
	s := c.layout.byDWARF(num)
	if s == nil || s.unknown || s.size() > 8 {
		return fmt.Errorf("%w: the stub has no register of DWARF number %d", target.ErrUnsupported, num)
	}
	if bits := s.bits; bits < 64 && v>>bits != 0 {
		return fmt.Errorf("register %s: %#x does not fit %d bits", s.name, v, bits)
	}
	if err := c.choose(ctx, cpu); err != nil {
		return err
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	val := b[:s.size()]
	if !c.prof.noP {
		text := append(packet.AppendUint([]byte{'P'}, uint64(s.num)), '=')
		_, err := c.request(ctx, string(packet.AppendHex(text, val)))
		if !errors.Is(err, target.ErrUnsupported) {
			return err
		}
		c.prof.noP = true
	}
	return c.writeByG(ctx, s, val)
}

// writeByG changes one register by sending all of them back.
func (c *Client) writeByG(ctx context.Context, s *regSlot, val []byte) error {
	raw, err := c.request(ctx, "g")
	if err != nil {
		return err
	}
	all := make([]byte, len(raw)/2)
	if _, ok := packet.DecodeHex(all, raw); !ok {
		return fmt.Errorf("register %s: the stub has no P and marks other registers as unavailable, so it cannot be written", s.name)
	}
	if s.off+len(val) > len(all) {
		return fmt.Errorf("%w: the stub's g has no register %s", target.ErrUnsupported, s.name)
	}
	copy(all[s.off:], val)
	_, err = c.request(ctx, string(packet.AppendHex([]byte{'G'}, all)))
	return err
}
