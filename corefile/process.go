package corefile

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/ukdbg/ukdbg/target/arch"
)

// processCore tells the core of a process by its auxiliary vector (NT_AUXV),
// which no machine has.
func processCore(notes []byte) (is bool) {
	eachNote(notes, func(n note) bool {
		is = n.name == "CORE" && n.typ == ntAuxv
		return !is
	})
	return is
}

// nanosABI is ELFOSABI_LINUX, which Nanos writes into the cores of its one
// process (nanos src/unix/coredump.c) and Linux into none.
const nanosABI = 3

// readProcess reads the core of a process: of a guest that runs as one (Solo5
// spt, Unikraft's linuxu), or of the program a Nanos guest runs. Memory in it is
// virtual, and each thread stands for a processor.
func readProcess(in input, a *arch.Arch, l layout) (*contents, error) {
	c := &contents{format: "ELF core of a process", arch: a}
	if l.osabi == nanosABI {
		c.format = "Nanos ELF core"
	}
	var problems []string
	c.cpus, _, problems = parseNotes(l.notes, a)
	c.notes = append(c.notes, problems...)
	var files []fileMapping
	eachNote(l.notes, func(n note) bool {
		switch {
		case n.name != "CORE":
		case n.typ == ntAuxv:
			c.entry = auxv(n.body, atEntry)
		case n.typ == ntPRStatus && c.signal.Number == 0:
			c.signal = currentSignal(n.body) // the first thread's: it is the one that died
		case n.typ == ntSigInfo && (c.signal.Number == 0 || c.signal.Bare):
			c.signal = parseSignal(n.body)
		case n.typ == ntFile:
			files = parseFiles(n.body)
		}
		return true
	})
	var segments []segment
	left := 0
	for _, p := range l.loads {
		if p.mem == 0 || p.virt+(p.mem-1) < p.virt {
			continue
		}
		s := segment{addr: p.virt, size: min(p.size, p.mem), mem: p.mem, offset: p.offset}
		if s.size < s.mem {
			left++
			for _, f := range files {
				if s.addr+s.size >= f.start && s.addr+s.size < f.end {
					s.why = fmt.Sprintf("left out of the dump: it is mapped from %q", f.name)
					break
				}
			}
		}
		segments = append(segments, s)
	}
	if left > 0 {
		c.notes = append(c.notes, fmt.Sprintf("%d mappings were left out of the core, as code that its file still holds usually is", left))
	}
	c.virt = &pieces{r: in.r, all: untangle(segments), hole: "nothing is mapped there"}
	return c, nil
}

// atEntry is the type of the auxiliary vector's entry with the program's entry
// point.
const atEntry = 9

// auxv returns an entry of an auxiliary vector, 0 if it has none.
func auxv(body []byte, typ uint64) uint64 {
	le := binary.LittleEndian
	for ; len(body) >= 16; body = body[16:] {
		switch le.Uint64(body) {
		case typ:
			return le.Uint64(body[8:])
		case 0:
			return 0
		}
	}
	return 0
}

// fileMapping is a mapping of a file, by its first address and the one after its
// last.
type fileMapping struct {
	start, end uint64
	name       string
}

// maxFiles bounds the mappings of a process; Linux allows 65530 by default.
const maxFiles = 1 << 17

// parseFiles reads an NT_FILE note: count and page size, then start, end and
// offset of each mapping, then their names.
func parseFiles(body []byte) []fileMapping {
	if len(body) < 16 {
		return nil
	}
	le := binary.LittleEndian
	n := le.Uint64(body)
	if n > maxFiles || n*24 > uint64(len(body)-16) {
		return nil
	}
	names := body[16+n*24:]
	all := make([]fileMapping, 0, n)
	for i := range n {
		e := body[16+24*i:]
		name, rest, ok := bytes.Cut(names, []byte{0})
		if !ok {
			break
		}
		names = rest
		all = append(all, fileMapping{le.Uint64(e), le.Uint64(e[8:]), string(name)})
	}
	return all
}
