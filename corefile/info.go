package corefile

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/dumpfile"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// Info is what ukdbg wrote of a dump of its own; ok is false for another's.
func (d *Dump) Info() (info dumpfile.Info, ok bool) {
	if d.own == nil {
		return dumpfile.Info{}, false
	}
	return *d.own, true
}

// RAM is where the dump has memory, by physical address; nil for a format that
// does not tell before it is read.
func (d *Dump) RAM() []dumpfile.Extent {
	if k, ok := d.phys.(*kdump); ok {
		return k.extents()
	}
	m, ok := d.phys.(*pieces)
	if !ok {
		return nil
	}
	var out []dumpfile.Extent
	for _, s := range m.all {
		if s.size > 0 {
			out = append(out, dumpfile.Extent{Phys: s.addr, Size: s.size})
		}
	}
	return out
}

// readOwn takes what a UKDBG note says that the other notes cannot.
func (c *contents) readOwn(notes []byte) {
	desc, ok := findNote(notes, dumpfile.NoteName, dumpfile.NoteType)
	if !ok {
		return
	}
	info, err := dumpfile.ParseInfo(desc)
	if err != nil {
		c.notes = append(c.notes, err.Error())
		return
	}
	c.own = &info
	for i := range min(len(info.CPUs), len(c.cpus)) {
		cpu := &c.cpus[i]
		for name, v := range info.CPUs[i].System {
			if cpu.sys == nil {
				cpu.sys = map[string]uint64{}
			}
			cpu.sys[name] = uint64(v)
		}
		for name, v := range info.CPUs[i].Registers {
			if r, ok := c.arch.Reg(name); ok {
				cpu.regs.Set(r.Num, uint64(v))
			}
		}
		for _, name := range info.CPUs[i].Unknown {
			if r, ok := c.arch.Reg(name); ok {
				cpu.regs.Forget(r.Num)
			}
		}
	}
	if info.Minimal && info.LeftOut != "" {
		c.notes = append(c.notes, "a minimal dump: "+info.LeftOut)
	}
	switch {
	case info.Torn != "":
		c.notes = append(c.notes, "not of one instant: "+info.Torn)
	case !info.Instant:
		c.notes = append(c.notes, "not of one instant: the guest ran while it was read")
	}
	c.notes = append(c.notes, info.Notes...)
}

// ownHole says why memory is not in a dump of ukdbg's own.
func ownHole(info *dumpfile.Info) string {
	if info.Minimal {
		return "left out of this minimal dump"
	}
	return "not in the dump: the guest never used it, or had no memory there"
}

// useOwn takes the page tables the writer used, where they can be made sense of.
func (d *Dump) useOwn() {
	if d.own == nil || d.own.Tables == nil || d.virt != nil {
		return
	}
	t := d.own.Tables
	var root mmu.Root
	switch t.Format {
	case "identity":
	case "x86":
		if d.rooted {
			return // each processor's own, by QEMU's note
		}
		root = mmu.X86(uint64(t.CR3), t.LA57)
	case "arm64":
		var err error
		if root, err = mmu.ARM64(uint64(t.TCR), uint64(t.TTBR0), uint64(t.TTBR1)); err != nil {
			d.notes = append(d.notes, fmt.Sprintf("page tables: %v", err))
			return
		}
	default:
		return
	}
	d.UseRoot(root)
	d.rooted = true
	d.forgetIdentity()
}

// forgetIdentity drops the notes that said that nothing told the page tables.
func (d *Dump) forgetIdentity() {
	kept := d.notes[:0]
	for _, n := range d.notes {
		if !isIdentityNote(n) {
			kept = append(kept, n)
		}
	}
	d.notes = kept
}

// findNote returns the content of the first note of a name and type.
func findNote(notes []byte, name string, typ uint32) ([]byte, bool) {
	le := binary.LittleEndian
	for len(notes) >= 12 {
		namesz, descsz := uint64(le.Uint32(notes)), uint64(le.Uint32(notes[4:]))
		rest := notes[12:]
		desc := (namesz + 3) &^ 3
		if desc+descsz > uint64(len(rest)) {
			return nil, false
		}
		if string(rest[:namesz]) == name+"\x00" && le.Uint32(notes[8:]) == typ {
			return rest[desc : desc+descsz], true
		}
		notes = rest[min(desc+(descsz+3)&^3, uint64(len(rest))):]
	}
	return nil, false
}

func isIdentityNote(text string) bool { return strings.Contains(text, identityNote) }
