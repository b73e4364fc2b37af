//go:build linux

package livevm

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

// maxCPUs bounds the processors read; QEMU's largest machines have 4096.
const maxCPUs = 4096

// processor is what the monitor tells of one CPU.
type processor struct {
	regs target.Regs
	sys  map[string]uint64 // by gdb's names
	// long: an x86 processor in 64-bit mode.
	long bool
}

// parseRegisters reads QEMU's "info registers -a": a part for each processor,
// which begins with "CPU#N". The order of the numbers is QEMU's.
func parseRegisters(text string, a *arch.Arch) ([]processor, error) {
	var out []processor
	for part := range strings.SplitSeq(text, "CPU#") {
		number, body, ok := strings.Cut(part, "\n")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if !ok || err != nil {
			continue // what is before the first
		}
		if n != len(out) {
			return nil, fmt.Errorf("info registers: CPU %d comes after %d others", n, len(out))
		}
		if n >= maxCPUs {
			return nil, fmt.Errorf("info registers: more than %d processors", maxCPUs)
		}
		p := processor{regs: target.NewRegs(a), sys: map[string]uint64{}}
		switch a {
		case arch.X86_64:
			err = p.parseX86(body)
		case arch.ARM64:
			err = p.parseARM64(body)
		default:
			err = fmt.Errorf("the registers of %s are not known here", a.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("info registers: CPU %d: %w", n, err)
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("info registers shows no processor: %.80q", text)
	}
	return out, nil
}

// archOf tells the architecture from the names of registers, nil if neither is
// known.
func archOf(text string) *arch.Arch {
	switch {
	case strings.Contains(text, "\nRAX="), strings.Contains(text, "\nEAX="):
		return arch.X86_64
	case strings.Contains(text, "PSTATE="):
		return arch.ARM64
	}
	return nil
}

// values calls f with each NAME=HEX of a text. A name may be followed by a
// space ("R8 =…"); a value ends at the first character that is no digit.
func values(body string, f func(name string, v uint64, rest string)) {
	for line := range strings.Lines(body) {
		for {
			before, after, ok := strings.Cut(line, "=")
			if !ok {
				break
			}
			name := strings.TrimRight(before, " ")
			name = name[strings.LastIndexAny(name, " \t")+1:]
			after = strings.TrimLeft(after, " ")
			n := 0
			for n < len(after) && n < 16 && strings.IndexByte("0123456789abcdefABCDEF", after[n]) >= 0 {
				n++
			}
			if v, err := strconv.ParseUint(after[:n], 16, 64); err == nil {
				f(name, v, after[n:])
			}
			line = after
		}
	}
}

// x86Numbers are the DWARF numbers of QEMU's names.
func x86Number(name string) (int, bool) {
	switch name {
	case "RIP":
		return arch.X86RIP, true
	case "RFL":
		return arch.X86RFLAGS, true
	}
	if len(name) < 2 || name[0] != 'R' {
		return 0, false
	}
	r, ok := arch.X86_64.Reg(strings.ToLower(name))
	return r.Num, ok && r.Num <= arch.X86R15
}

// x86Segments are the DWARF numbers of the selectors.
var x86Segments = map[string]int{"ES": 50, "CS": arch.X86CS, "SS": arch.X86SS, "DS": 53, "FS": 54, "GS": 55}

const eferLMA = 1 << 10

func (p *processor) parseX86(body string) error {
	values(body, func(name string, v uint64, rest string) {
		if num, ok := x86Number(name); ok {
			p.regs.Set(num, v)
			return
		}
		if num, ok := x86Segments[name]; ok {
			p.regs.Set(num, v)
			// Selector, base, limit, flags.
			word, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			if base, err := strconv.ParseUint(word, 16, 64); err == nil {
				switch name {
				case "FS":
					p.regs.Set(arch.X86FSBase, base)
				case "GS":
					p.regs.Set(arch.X86GSBase, base)
				}
			}
			return
		}
		switch name {
		case "CR0", "CR2", "CR3", "CR4", "EFER":
			p.sys[strings.ToLower(name)] = v
		}
	})
	if _, ok := p.regs.Get(arch.X86RIP); !ok {
		// A processor in 32-bit mode (a guest that boots) shows EIP.
		values(body, func(name string, v uint64, _ string) {
			if len(name) != 3 || name[0] != 'E' {
				return
			}
			if num, ok := x86Number("R" + name[1:]); ok {
				p.regs.Set(num, v)
			}
		})
	}
	if _, ok := p.regs.Get(arch.X86RIP); !ok {
		return fmt.Errorf("no program counter in %.60q", body)
	}
	p.long = p.sys["efer"]&eferLMA != 0
	return nil
}

func (p *processor) parseARM64(body string) error {
	values(body, func(name string, v uint64, _ string) {
		switch {
		case name == "PC":
			p.regs.Set(arch.ARM64PC, v)
		case name == "SP":
			p.regs.Set(arch.ARM64SP, v)
		case name == "PSTATE":
			p.regs.Set(arch.ARM64CPSR, v)
		case len(name) == 3 && name[0] == 'X':
			if n, err := strconv.Atoi(name[1:]); err == nil && n <= arch.ARM64LR {
				p.regs.Set(n, v)
			}
		}
	})
	if _, ok := p.regs.Get(arch.ARM64PC); !ok {
		return fmt.Errorf("no program counter in %.60q (is it in 32-bit mode?)", body)
	}
	return nil
}
