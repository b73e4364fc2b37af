package shadow

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/ukdbg/ukdbg/target"
)

// rowBytes is how many shadow bytes one line shows, as ASan's.
const rowBytes = 16

// rowsAround is how many lines are shown before and behind the address's.
const rowsAround = 5

// Dump is the shadow around an address.
type Dump struct {
	Flavour *Flavour
	// Addr is the address of memory it is drawn around.
	Addr uint64
	Rows []Row
}

// Row is one line: the shadow of 128 bytes of memory.
type Row struct {
	// Addr is the first byte of memory the row tells of, Shadow where its shadow
	// byte lies.
	Addr, Shadow uint64
	// Bytes has the shadow; fewer than 16 where it ends or cannot be read.
	Bytes []byte
	// Mark is the index of the address's byte, -1 in other rows.
	Mark int
}

// Around reads the shadow around an address. Rows that cannot be read are left
// out; the error tells of the address's own.
func (m *Map) Around(ctx context.Context, mem target.Memory, addr uint64) (*Dump, error) {
	if !m.Covers(addr) {
		return nil, fmt.Errorf("shadow of %#x: the sanitizer watches %#x to %#x only", addr, m.First, m.Last)
	}
	d := &Dump{Flavour: m.Flavour, Addr: addr}
	middle := m.Of(addr) &^ (rowBytes - 1)
	for i := -rowsAround; i <= rowsAround; i++ {
		at := middle + uint64(i*rowBytes)
		r := Row{Shadow: at, Addr: (at - m.Offset) << 3, Mark: -1}
		if !m.Covers(r.Addr) || i < 0 && at > middle || i > 0 && at < middle {
			continue
		}
		buf := make([]byte, rowBytes)
		n, err := mem.ReadMemory(ctx, buf, at)
		r.Bytes = buf[:n]
		if i == 0 {
			r.Mark = int(m.Of(addr) - at)
			if r.Mark >= n {
				return nil, fmt.Errorf("shadow of %#x at %#x: %w", addr, m.Of(addr), err)
			}
		}
		if n > 0 {
			d.Rows = append(d.Rows, r)
		}
	}
	return d, nil
}

// Write draws the dump as ASan does, with the flavour's legend.
func (d *Dump) Write(w io.Writer, indent string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%sShadow bytes around %#x (%s):\n", indent, d.Addr, d.Flavour.Name)
	for _, r := range d.Rows {
		mark := "  "
		if r.Mark >= 0 {
			mark = "=>"
		}
		fmt.Fprintf(&b, "%s%s0x%012x:", indent, mark, r.Addr)
		for i := range rowBytes {
			sep := " "
			switch {
			case r.Mark == i:
				sep = "["
			case r.Mark >= 0 && r.Mark == i-1:
				sep = "]"
			}
			if i < len(r.Bytes) {
				fmt.Fprintf(&b, "%s%02x", sep, r.Bytes[i])
			} else {
				b.WriteString(sep + "??")
			}
		}
		if r.Mark == rowBytes-1 {
			b.WriteByte(']')
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%sLegend (one shadow byte represents %d bytes of memory):\n", indent, Granule)
	line := func(text, codes string) { fmt.Fprintf(&b, "%s  %-38s %s\n", indent, text+":", codes) }
	line("Addressable", "00")
	line("Partially addressable", "01 02 03 04 05 06 07")
	for _, c := range d.Flavour.Codes {
		line(c.Text, fmt.Sprintf("%02x", c.Byte))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
