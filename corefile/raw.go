package corefile

import (
	"bytes"
	"debug/elf"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/target/arch"
)

const (
	gib = 1 << 30
	mib = 1 << 20
)

// layoutOf says where a machine has its RAM.
type layoutOf struct {
	machine elf.Machine
	base    uint64
	// low is how much RAM lies below the hole at 4 GiB if there is more of it
	// than most; 0 for no hole.
	low, most uint64
}

// layouts are the machines whose memory map is known: QEMU hw/i386/pc_piix.c,
// pc_q35.c and microvm.c, hw/arm/virt.c; Firecracker src/vmm/src/arch.
func layouts() map[string]layoutOf {
	return map[string]layoutOf{
		"pc":          {elf.EM_X86_64, 0, 3 * gib, 3*gib + 512*mib},
		"q35":         {elf.EM_X86_64, 0, 2 * gib, 2*gib + 768*mib},
		"microvm":     {elf.EM_X86_64, 0, 3 * gib, 3 * gib},
		"firecracker": {elf.EM_X86_64, 0, 4*gib - 768*mib, 4*gib - 768*mib},
		"virt":        {elf.EM_AARCH64, gib, 0, 0},
	}
}

// Layouts names the machines Options.Machine knows.
func Layouts() []string { return []string{"firecracker", "microvm", "pc", "q35", "virt"} }

// readRaw takes a file for RAM as it is (QEMU's pmemsave, a RAM backend's file,
// Firecracker's memory file), if the options say so or leave nothing else.
func readRaw(in input) (*contents, error) {
	o := in.opt
	if o.Arch == nil || o.Base == nil && o.Machine == "" && !looksLikeRAM(in) {
		return nil, malformed("%s", notKnown(in))
	}
	c := &contents{format: "raw RAM", arch: o.Arch}
	var segments []segment
	piece := func(addr, offset, size uint64) {
		if size > 0 && addr+(size-1) >= addr {
			segments = append(segments, segment{addr: addr, offset: int64(offset), size: size, mem: size})
		}
	}
	size := uint64(in.size)
	if o.Machine != "" {
		l, ok := layouts()[o.Machine]
		if !ok {
			return nil, malformed("machine %q is not known, but %s are", o.Machine, strings.Join(Layouts(), ", "))
		}
		if a := arch.ByMachine(l.machine); a != o.Arch {
			return nil, malformed("machine %s is of %s, the image of %s", o.Machine, a.Name, o.Arch.Name)
		}
		low := size
		if l.low != 0 && size > l.most {
			low = l.low
			c.notes = append(c.notes, fmt.Sprintf("machine %s: a hole from %#x to 4 GiB, the rest of RAM above", o.Machine, low))
		}
		piece(l.base, 0, low)
		piece(4*gib, low, size-low)
	} else {
		base := uint64(0)
		if o.Arch.Machine == elf.EM_AARCH64 {
			base = gib
		}
		if o.Base != nil {
			base = *o.Base
		} else {
			c.notes = append(c.notes, fmt.Sprintf("taken as raw RAM that begins at %#x, as %s machines have it; --base tells another address", base, o.Arch.Name))
		}
		piece(base, 0, size)
		if o.Arch.Machine == elf.EM_X86_64 && size > 2*gib {
			c.notes = append(c.notes, "taken as one piece with the hole below 4 GiB in it, as pmemsave writes it; for a RAM backend's file say --machine "+strings.Join(Layouts(), ", "))
		}
	}
	c.phys = &pieces{r: in.r, all: segments, hole: noMemory}
	return c, nil
}

// looksLikeRAM reports whether a file could be RAM: whole pages, and more than
// text in it.
func looksLikeRAM(in input) bool {
	return in.size >= 64<<10 && in.size%4096 == 0 && bytes.IndexByte(in.head, 0) >= 0
}

// notKnown says what a file of no known format seems to be.
func notKnown(in input) string {
	switch {
	case bytes.HasPrefix(in.head, []byte("PK\x03\x04")):
		return "it is a zip archive; of one that 'ukdbg report' wrote, 'ukdbg crash' explains the fault and the other verbs take the dump.zst and trace.ukt in it"
	case in.size < 64:
		return fmt.Sprintf("it has %d bytes", in.size)
	case looksLikeRAM(in) || in.opt.Base != nil || in.opt.Machine != "":
		return "it has no header; raw RAM is opened with an image (-e), which tells the architecture, and --base ADDRESS where it does not begin at the machine's first RAM"
	case bytes.IndexByte(in.head, 0) < 0:
		return "it has no header of a dump and looks like text"
	}
	return "it has no header of a dump; raw RAM is opened with an image (-e) and --base ADDRESS"
}

// libvirtMagic begins the file of "virsh save": libvirt's header, a domain's XML
// and then QEMU's migration stream (libvirt src/qemu/qemu_saveimage.h). The
// second is that of a file whose writing did not end.
const (
	libvirtMagic   = "LibvirtQemudSave"
	libvirtPartial = "LibvirtQemudPart"
)

func isLibvirtSave(head []byte) bool {
	return bytes.HasPrefix(head, []byte(libvirtMagic)) || bytes.HasPrefix(head, []byte(libvirtPartial))
}

func refuseLibvirtSave(in input) (*contents, error) {
	state := ""
	if bytes.HasPrefix(in.head, []byte(libvirtPartial)) {
		state = ", broken off while it was written"
	}
	return nil, malformed("it is a libvirt save image%s (virsh save, or virsh dump without --memory-only): a migration stream for QEMU alone; dump with virsh dump --memory-only", state)
}
