package expr

import (
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
)

// maxExamine bounds the objects one x command shows.
const maxExamine = 1 << 16

// ExamineFormat is the /NFU of the x command.
type ExamineFormat struct {
	Count  int
	Letter byte // x d u o t a c f s i z
	Unit   byte // b h w g
}

// ParseFormat reads the letters after x/: a count, a format and a unit, in any
// order; last gives what is not said.
func ParseFormat(letters string, last ExamineFormat) (ExamineFormat, error) {
	f := ExamineFormat{Count: 1, Letter: last.Letter, Unit: last.Unit}
	if f.Letter == 0 {
		f.Letter = 'x'
	}
	digits := len(letters) - len(strings.TrimLeft(letters, "-0123456789"))
	if digits > 0 {
		n, err := strconv.Atoi(letters[:digits])
		if err != nil || n < 0 || n > maxExamine {
			return f, errorf("x/%s: the count is not a number from 0 to %d", letters, maxExamine)
		}
		f.Count = n
	}
	unitSaid := false
	for _, c := range []byte(letters[digits:]) {
		switch c {
		case 'b', 'h', 'w', 'g':
			f.Unit, unitSaid = c, true
		case 'x', 'd', 'u', 'o', 't', 'a', 'c', 'f', 's', 'i', 'z':
			f.Letter = c
		default:
			return f, errorf("Undefined output format \"%c\".", c)
		}
	}
	if f.Letter == 'a' {
		f.Unit = 'g'
	}
	if !unitSaid {
		switch f.Letter {
		case 'f':
			if f.Unit != 'w' {
				f.Unit = 'g'
			}
		case 'c', 's', 'i':
			f.Unit = 'b'
		}
	}
	if f.Unit == 0 {
		f.Unit = 'w'
	}
	return f, nil
}

// Examine shows memory as gdb's x command does, in lines. The letters are what
// stands behind x/; what they do not say is as it was the last time, and without
// an expression it goes on where that ended. Instructions (i) are not shown here:
// ParseFormat and ExamineAddress serve a disassembler. What was read before a
// fault is returned with the error.
func (e *Env) Examine(src, letters string) (string, error) {
	f, err := ParseFormat(letters, e.examined)
	if err != nil {
		return "", err
	}
	addr := e.next
	if strings.TrimSpace(src) != "" {
		if addr, err = e.ExamineAddress(src); err != nil {
			return "", err
		}
	}
	e.examined = f
	text, next, err := e.ExamineAt(addr, f)
	e.next = next
	return text, err
}

// ExamineAddress evaluates the operand of x: an array or function stands for its
// address.
func (e *Env) ExamineAddress(src string) (uint64, error) {
	v, err := e.Eval(src)
	if err != nil {
		return 0, err
	}
	if k := v.Type.Strip().Kind; (k == ctype.Struct || k == ctype.Union) && v.Lval == ctype.InMemory {
		return v.Addr, nil
	}
	x, err := v.Uint()
	return x, memoryError(err)
}

var unitSizes = map[byte]int64{'b': 1, 'h': 2, 'w': 4, 'g': 8}

// ExamineAt shows memory from addr on and returns the address after it. What
// was read before a fault is returned with the error.
func (e *Env) ExamineAt(addr uint64, f ExamineFormat) (text string, next uint64, err error) {
	if f.Letter == 'i' {
		return "", addr, errorf("instructions are shown by the disassembler")
	}
	size := unitSizes[f.Unit]
	perLine := map[byte]int{'b': 8, 'h': 8, 'w': 4, 'g': 2}[f.Unit]
	if f.Letter == 's' {
		perLine = 1
	}
	var b strings.Builder
	for left := f.Count; left > 0; {
		b.WriteString(e.address(addr) + ":")
		for i := 0; i < perLine && left > 0; i++ {
			b.WriteByte('\t')
			one, n, err := e.examineOne(addr, f, size)
			if err != nil {
				return b.String(), addr, memoryError(err)
			}
			b.WriteString(one)
			addr += uint64(n)
			left--
		}
		b.WriteString("\n")
	}
	return b.String(), addr, nil
}

// examineOne shows one object and tells its length.
func (e *Env) examineOne(addr uint64, f ExamineFormat, size int64) (string, int64, error) {
	if f.Letter == 's' {
		char := e.charType()
		switch size {
		case 2:
			char = ctype.Basic(ctype.Char, "char16_t", 2, false)
		case 4:
			char = ctype.Basic(ctype.Char, "char32_t", 4, false)
		}
		text, n, err := e.cstringLen(char, addr)
		return text, max(n, size), err
	}
	t := ctype.Basic(ctype.Int, "int", size, true)
	if f.Letter == 'f' {
		switch size {
		case 4:
			t = floatType
		case 8:
			t = doubleType
		}
	}
	data, err := e.Reader.At(t, addr).Bytes()
	if err != nil {
		return "", 0, err
	}
	p := &printer{env: e, format: f.Letter}
	if err := p.formatted(t, t, data, size); err != nil {
		return "", 0, err
	}
	return p.b.String(), size, nil
}
