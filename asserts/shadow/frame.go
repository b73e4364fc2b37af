package shadow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/target"
)

// frameMagic begins each stack frame that AddressSanitizer laid out (LLVM
// AddressSanitizer.cpp, kCurrentStackFrameMagic; gcc's ASAN_STACK_FRAME_MAGIC).
const frameMagic = 0x41b58ab3

// ErrNoFrame says that no sanitized frame lies at or below an address.
var ErrNoFrame = errors.New("no stack frame of the sanitizer's is there")

// Frame is a stack frame as the compiler described it.
type Frame struct {
	// Base is where it begins, PC the function it belongs to.
	Base, PC  uint64
	Variables []Variable
}

// Variable is one variable of a frame.
type Variable struct {
	Name string
	// Offset is from the frame's base, Size in bytes. Line is 0 if not told.
	Offset, Size uint64
	Line         int
}

// Limits of a frame.
const (
	maxFrame       = 64 << 10
	maxVariables   = 256
	maxDescription = 16 << 10
)

// FindFrame finds the frame an address of a stack lies in, from its description:
// word 0 of a frame is a magic number, word 1 points to the text, word 2 to the
// function.
func FindFrame(ctx context.Context, mem target.Memory, addr uint64) (Frame, error) {
	const align = 16 // of gcc's frames; clang's have more
	at := addr &^ (align - 1)
	for d := uint64(0); d < maxFrame && d <= at; d += align {
		var w [24]byte
		if err := target.ReadFull(ctx, mem, w[:], at-d); err != nil {
			return Frame{}, fmt.Errorf("stack at %#x: %w", at-d, err)
		}
		if binary.LittleEndian.Uint64(w[:]) != frameMagic {
			continue
		}
		f := Frame{Base: at - d, PC: binary.LittleEndian.Uint64(w[16:])}
		text, err := cstring(ctx, mem, binary.LittleEndian.Uint64(w[8:]))
		if err != nil {
			return Frame{}, fmt.Errorf("description of the frame at %#x: %w", f.Base, err)
		}
		if f.Variables, err = parseDescription(text); err != nil {
			return Frame{}, fmt.Errorf("description of the frame at %#x: %w", f.Base, err)
		}
		return f, nil
	}
	return Frame{}, ErrNoFrame
}

func cstring(ctx context.Context, mem target.Memory, addr uint64) (string, error) {
	var out []byte
	buf := make([]byte, 64)
	for len(out) < maxDescription {
		n, err := mem.ReadMemory(ctx, buf, addr+uint64(len(out)))
		for _, c := range buf[:n] {
			if c == 0 {
				return string(out), nil
			}
			out = append(out, c)
		}
		if err != nil || n == 0 {
			return "", fmt.Errorf("text at %#x: %w", addr, err)
		}
	}
	return "", fmt.Errorf("text at %#x is longer than %d bytes", addr, maxDescription)
}

// parseDescription reads "n off size len name[:line] off size len name…".
func parseDescription(text string) ([]Variable, error) {
	count, rest, err := number(text)
	if err != nil {
		return nil, err
	}
	if count > maxVariables {
		return nil, fmt.Errorf("%d variables", count)
	}
	out := make([]Variable, 0, count)
	for range count {
		var v Variable
		var length uint64
		for _, p := range []*uint64{&v.Offset, &v.Size, &length} {
			if *p, rest, err = number(rest); err != nil {
				return out, err
			}
		}
		if length > uint64(len(rest)) {
			return out, fmt.Errorf("a name of %d bytes in %d", length, len(rest))
		}
		v.Name, rest = rest[:length], rest[length:]
		if name, line, ok := strings.Cut(v.Name, ":"); ok {
			v.Name = name
			v.Line, _ = strconv.Atoi(line)
		}
		out = append(out, v)
	}
	return out, nil
}

func number(s string) (v uint64, rest string, err error) {
	s = strings.TrimLeft(s, " ")
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if v, err = strconv.ParseUint(s[:i], 10, 32); err != nil {
		return 0, s, fmt.Errorf("a number is missing: %w", err)
	}
	return v, strings.TrimPrefix(s[i:], " "), nil
}

// Near returns the variable at or next to an address of the frame: the one it
// lies in, or the nearest. distance is 0 inside, positive behind its end,
// negative before it.
func (f *Frame) Near(addr uint64) (v Variable, distance int64, ok bool) {
	off := int64(addr - f.Base)
	for _, c := range f.Variables {
		d := int64(0)
		switch end := int64(c.Offset + c.Size); {
		case off < int64(c.Offset):
			d = off - int64(c.Offset)
		case off >= end:
			d = off - end + 1
		}
		if !ok || abs(d) < abs(distance) {
			v, distance, ok = c, d, true
		}
	}
	return v, distance, ok
}

// Text says where an address is by the variables of the frame: "right behind the
// end of b (13 bytes, line 1)"; "" if it has none.
func (f *Frame) Text(addr uint64) string {
	v, d, ok := f.Near(addr)
	if !ok {
		return ""
	}
	where := "in"
	switch {
	case d == 1:
		where = "right behind the end of"
	case d > 1:
		where = fmt.Sprintf("%d bytes behind the end of", d-1)
	case d < 0:
		where = fmt.Sprintf("%d bytes before", -d)
	}
	text := fmt.Sprintf("%s %s (%d bytes", where, v.Name, v.Size)
	if v.Line > 0 {
		text += fmt.Sprintf(", line %d", v.Line)
	}
	return text + ")"
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}
