package ukdbg

import (
	"context"
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/expr"
)

// Examined is where an x command ended and how it showed memory; the next one
// goes on from it. The zero value begins.
type Examined struct {
	Next   uint64
	format expr.ExamineFormat
}

// Examine shows memory as gdb's x command does: letters are what stands behind
// x/, text is an address, "" to go on behind the last one. What was read before
// a fault is returned with the error.
func (s *Session) Examine(ctx context.Context, text, letters string, last Examined, f *Frame) (string, Examined, error) {
	format, err := expr.ParseFormat(letters, last.format)
	if err != nil {
		return "", last, err
	}
	addr := last.Next
	if strings.TrimSpace(text) != "" {
		if addr, err = s.Number(ctx, text, f); err != nil {
			return "", last, err
		}
	}
	if format.Letter == 'i' {
		out, next, err := s.examineCode(ctx, addr, format.Count)
		return out, Examined{next, format}, err
	}
	env, err := s.environment(ctx, f)
	if err != nil {
		return "", last, err
	}
	out, next, err := env.ExamineAt(addr, format)
	return out, Examined{next, format}, err
}

// examineCode shows instructions as x/i does; the one at the pc is marked.
func (s *Session) examineCode(ctx context.Context, addr uint64, n int) (string, uint64, error) {
	list, err := s.Disassemble(ctx, addr, n)
	if err != nil {
		return "", addr, err
	}
	pc := uint64(0)
	if t, err := s.CurrentThread(ctx, s.stopCPU); err == nil && t.RegsErr == nil {
		pc = t.Regs.PC()
	}
	var b strings.Builder
	for _, in := range list {
		mark := "   "
		if in.Addr == pc {
			mark = "=> "
		}
		fmt.Fprintf(&b, "%s%s:\t%s\n", mark, s.named(in.Addr), in.Text)
		addr = in.Addr + uint64(len(in.Code))
	}
	return b.String(), addr, nil
}
