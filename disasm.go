package ukdbg

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/arch/arm64/arm64asm"
	"golang.org/x/arch/x86/x86asm"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
	"github.com/ukdbg/ukdbg/target/insn"
)

// maxInstruction is the longest instruction of any architecture, in bytes.
const maxInstruction = 15

// Instruction is one disassembled machine instruction.
type Instruction struct {
	Addr uint64
	Code []byte
	// Text is in GNU (AT&T for x86) syntax, with targets symbolized; bytes that
	// are no known instruction are shown as ".byte" or ".inst".
	Text string
	// Call: it calls, and goes on behind itself.
	Call bool
}

// odd lists x86 encodings the decoder lacks or gets wrong.
var odd = []struct {
	code string
	text string
}{
	{"\xf3\x0f\x1e\xfa", "endbr64"},
	{"\xf3\x0f\x1e\xfb", "endbr32"},
	{"\x0f\x01\xca", "clac"},
	{"\x0f\x01\xcb", "stac"},
	{"\x0f\x01\xee", "rdpkru"},
	{"\x0f\x01\xef", "wrpkru"},
	{"\x0f\x01\xd0", "xgetbv"},
	{"\x0f\x01\xd1", "xsetbv"},
	{"\xc5\xf8\x77", "vzeroupper"},
	{"\xc5\xfc\x77", "vzeroall"},
}

// decode disassembles the first instruction of code, which lies at addr.
func decode(a *arch.Arch, code []byte, addr uint64, symname func(uint64) (string, uint64)) Instruction {
	if a == arch.ARM64 {
		return decodeARM64(code, addr, symname)
	}
	return decodeX86(code, addr, symname)
}

func decodeX86(code []byte, addr uint64, symname func(uint64) (string, uint64)) Instruction {
	for _, o := range odd {
		if bytes.HasPrefix(code, []byte(o.code)) {
			return Instruction{Addr: addr, Code: code[:len(o.code)], Text: o.text}
		}
	}
	if len(code) >= 4 && code[0] == 0x67 && code[1] == 0x0f && code[2] == 0xb9 {
		// clang's ubsan trap: ud1 with the kind as displacement.
		if n := 5; code[3] == 0x40 && len(code) >= n {
			return Instruction{Addr: addr, Code: code[:n], Text: fmt.Sprintf("ud1l %#x(%%eax),%%eax", code[4])}
		}
		return Instruction{Addr: addr, Code: code[:4], Text: "ud1l (%eax),%eax"}
	}
	in, err := insn.DecodeX86(code)
	if err != nil || in.Len < 1 || in.Len > len(code) {
		return Instruction{Addr: addr, Code: code[:1], Text: fmt.Sprintf(".byte %#02x", code[0])}
	}
	return Instruction{
		Addr: addr, Code: code[:in.Len], Call: in.Op == x86asm.CALL,
		Text: x86Text(in, addr, symname),
	}
}

// x86Text is the instruction in GNU syntax with the target of a branch shown as
// address and symbol, as objdump and gdb do.
func x86Text(in x86asm.Inst, addr uint64, symname func(uint64) (string, uint64)) string {
	// The decoder's printer shows "no index" as a register behind r12.
	text := strings.Replace(x86asm.GNUSyntax(in, addr, nil), ",%riz)", ")", 1)
	for _, op := range [][2]string{{"cdqe", "cltq"}, {"movsxd ", "movslq "}} {
		if rest, ok := strings.CutPrefix(text, op[0]); ok {
			text = op[1] + rest // Intel's names
		}
	}
	rel, ok := in.Args[0].(x86asm.Rel)
	if !ok {
		return text
	}
	to := addr + uint64(in.Len) + uint64(int64(rel))
	if name, base := symname(to); name != "" {
		return fmt.Sprintf("%s <%s>", text, plus(name, to-base))
	}
	return text
}

// decoding guards arm64asm.Decode, which notes in a table of its package what it
// has decoded: sessions run beside each other.
var decoding sync.Mutex

func decodeARM64(code []byte, addr uint64, symname func(uint64) (string, uint64)) Instruction {
	if len(code) < 4 {
		return Instruction{Addr: addr, Code: code, Text: ".byte (cut)"}
	}
	word := binary.LittleEndian.Uint32(code)
	out := Instruction{Addr: addr, Code: code[:4]}
	out.Call = word&0xfc000000 == 0x94000000 || word&0xfffffc1f == 0xd63f0000
	decoding.Lock()
	in, err := arm64asm.Decode(code[:4])
	decoding.Unlock()
	if err != nil {
		out.Text = fmt.Sprintf(".inst %#08x", word)
		return out
	}
	out.Text = arm64asm.GNUSyntax(in)
	for _, arg := range in.Args {
		if rel, ok := arg.(arm64asm.PCRel); ok {
			to := addr + uint64(int64(rel))
			named := fmt.Sprintf("%#x", to)
			if name, base := symname(to); name != "" {
				named += " <" + plus(name, to-base) + ">"
			}
			out.Text = strings.Replace(out.Text, rel.String(), named, 1)
		}
	}
	return out
}

func plus(name string, off uint64) string {
	if off == 0 {
		return name
	}
	return fmt.Sprintf("%s+%d", name, off)
}

// Disassemble decodes up to count instructions from addr on, fewer where memory
// ends.
func (s *Session) Disassemble(ctx context.Context, addr uint64, count int) ([]Instruction, error) {
	const maxCount = 10000
	count = min(count, maxCount)
	buf := make([]byte, count*maxInstruction)
	if s.Arch() == arch.ARM64 {
		buf = buf[:count*4]
	}
	n, err := s.mem.ReadMemory(ctx, buf, addr)
	if n == 0 && err != nil {
		return nil, err
	}
	buf = buf[:n]
	var out []Instruction
	for len(out) < count && len(buf) > 0 {
		in := decode(s.Arch(), buf, addr, s.symname)
		out = append(out, in)
		addr += uint64(len(in.Code))
		buf = buf[len(in.Code):]
	}
	return out, nil
}

// symname names an address for the disassembler: symbol and its start.
func (s *Session) symname(addr uint64) (string, uint64) {
	name, off, ok := s.Symbolize(addr)
	if !ok {
		return "", 0
	}
	return name, addr - off
}

// call is a call instruction: its length in bytes, 0 if it is none.
type call struct{ length uint64 }

func (s *Session) callAt(ctx context.Context, pc uint64) (call, error) {
	buf := make([]byte, maxInstruction)
	n, err := s.mem.ReadMemory(ctx, buf, pc)
	if n == 0 {
		if err == nil {
			err = &target.FaultError{Addr: pc}
		}
		return call{}, fmt.Errorf("reading the instruction at the pc: %w", err)
	}
	if in := decode(s.Arch(), buf[:n], pc, s.symname); in.Call {
		return call{uint64(len(in.Code))}, nil
	}
	return call{}, nil
}
