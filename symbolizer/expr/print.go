package expr

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
)

// Format writes a value as gdb's print does, without the "$1 = ". The format is
// one of x d u o t c a f s z, or 0 for the type's own.
func (e *Env) Format(v ctype.Value, format byte) (string, error) {
	p := &printer{env: e, format: format}
	if err := p.top(v); err != nil {
		return "", memoryError(err)
	}
	return p.b.String(), nil
}

// FormatVariable writes a value as gdb does in info locals, info args and the
// arguments of a backtrace: as Format, but without the type before a pointer.
func (e *Env) FormatVariable(v ctype.Value) (string, error) {
	p := &printer{env: e}
	if text, ok := gone(v.Err()); ok {
		return text, nil
	}
	if err := v.Err(); err != nil {
		return "", memoryError(err)
	}
	if err := p.value(v, 0); err != nil {
		return "", memoryError(err)
	}
	return p.b.String(), nil
}

// maxText bounds the text of one value, in bytes.
const maxText = 4 << 20

type printer struct {
	env    *Env
	format byte
	b      strings.Builder
	shown  bool // a value was written, and not only what it lacks
}

var errTooLong = errors.New("the value is too long to print")

func (p *printer) put(s string) { p.b.WriteString(s) }

// top writes a value with what gdb adds at the top level: the type of a pointer.
func (p *printer) top(v ctype.Value) error {
	if err := v.Err(); err != nil {
		if text, ok := gone(err); ok {
			p.put(text)
			return nil
		}
		return err
	}
	t := v.Type.Strip()
	if p.format != 0 && p.format != 's' {
		return p.value(v, 0)
	}
	if t.Kind == ctype.Pointer || t.Kind == ctype.Reference {
		own := v.Type.Unqualified()
		if own.Kind != ctype.Pointer || !textName(own.Elem().Unqualified().Name) {
			p.put("(" + v.Type.String() + ") ")
		}
	}
	return p.value(v, 0)
}

// textName reports whether a pointer to a type of this name is shown as a string
// alone.
func textName(name string) bool {
	switch name {
	case "char", "wchar_t", "char16_t", "char32_t":
		return true
	}
	return false
}

// gone words what has no value: optimized out, in an unknown register.
func gone(err error) (string, bool) {
	var unknown *ctype.UnknownRegisterError
	var implicit *ctype.ImplicitPointerError
	switch {
	case errors.Is(err, ctype.ErrOptimizedOut):
		return "<optimized out>", true
	case errors.As(err, &unknown):
		return "<not saved>", true
	case errors.As(err, &implicit):
		return "<synthetic pointer>", true
	}
	return "", false
}

// leftOut reports whether an error says that a dump leaves the value out.
func leftOut(err error) bool {
	var hole *target.FaultError
	return errors.As(err, &hole) && hole.LeftOut
}

// value writes a value. Of a record what a dump left out is told in its place, as
// long as there is something else to show.
func (p *printer) value(v ctype.Value, depth int) error {
	if p.b.Len() > maxText {
		return errTooLong
	}
	err := p.whatever(v, depth)
	if err == nil || depth == 0 || !leftOut(err) {
		return err
	}
	p.put("<left out of this dump>")
	return nil
}

func (p *printer) whatever(v ctype.Value, depth int) error {
	t := v.Type.Strip()
	switch t.Kind {
	case ctype.Struct, ctype.Union:
		return p.record(v, t, depth)
	case ctype.Array:
		return p.array(v, t, depth)
	case ctype.Func:
		return p.function(v)
	case ctype.Void:
		p.put("void")
		return nil
	case ctype.Invalid, ctype.Unspecified:
		if t.Err() != nil {
			return t.Err()
		}
		p.put("<error type>")
		return nil
	}
	data, err := v.Bytes()
	if err != nil {
		if text, ok := gone(err); ok {
			p.put(text)
			return nil
		}
		return err
	}
	p.shown = true
	if v.BitSize != 0 {
		data = widen(v, t, data)
	}
	return p.scalar(v.Type, t, data)
}

// function writes a function: what it is, or with a format its first byte, which
// gdb takes for its value.
func (p *printer) function(v ctype.Value) error {
	char := ctype.Basic(ctype.Char, "char", 1, true)
	data, err := p.env.Reader.At(char, v.Addr).Bytes()
	if err != nil {
		return err // what is no memory is no function
	}
	switch p.format {
	case 0, 's':
		p.put("{" + v.Type.String() + "} " + p.env.address(v.Addr))
		return nil
	case 'a', 'c':
		return errorf("Value can't be converted to integer.")
	}
	return p.formatted(char, char, data, 0)
}

// widen gives a bit-field as bytes of its type.
func widen(v ctype.Value, t *ctype.Type, data []byte) []byte {
	x := ctype.Extract(data, v.BitOffset, v.BitSize, t.Signed)
	out := make([]byte, min(max(t.Size(), 1), 16))
	for i := range out {
		switch {
		case i < 8:
			out[i] = byte(x >> (8 * i))
		case int64(x) < 0 && t.Signed:
			out[i] = 0xff
		}
	}
	return out
}

func (p *printer) record(v ctype.Value, t *ctype.Type, depth int) error {
	if t.Declaration {
		p.put("<incomplete type>")
		return nil
	}
	if depth > maxPrintDepth {
		p.put("{...}")
		return nil
	}
	var missing error
	if depth == 0 && t.Size() > 0 {
		if missing = p.whole(v); missing != nil && !leftOut(missing) {
			return missing
		}
	}
	fields := t.Fields()
	p.put("{")
	if len(fields) == 0 {
		p.put("<No data fields>")
	}
	for i, f := range fields {
		if i > 0 {
			p.put(", ")
		}
		if f.Name != "" {
			p.put(f.Name + " = ")
		}
		if err := p.value(v.Member(f), depth+1); err != nil {
			return err
		}
	}
	p.put("}")
	if missing != nil && !p.shown {
		return missing
	}
	return nil
}

// whole reads all of an object: gdb shows nothing of one that is unreadable in a
// part.
func (p *printer) whole(v ctype.Value) error {
	_, err := v.Bytes()
	if errors.Is(err, ctype.ErrOptimizedOut) {
		return nil
	}
	return err
}

func (p *printer) array(v ctype.Value, t *ctype.Type, depth int) error {
	elem := t.Elem()
	size := elem.Size()
	n := t.Count()
	if n <= 0 || size <= 0 {
		// Of unknown length: shown by its address, as a pointer is.
		return p.pointer(elem, v.Addr)
	}
	data, err := v.Bytes()
	holed := errors.Is(err, ctype.ErrOptimizedOut)
	if err != nil && !holed {
		return err
	}
	p.shown = p.shown || err == nil
	if textual(elem, p.format) && !holed {
		p.put(stringText(elem, data, false))
		return nil
	}
	if depth > maxPrintDepth {
		p.put("{...}")
		return nil
	}
	p.put("{")
	shown := 0
	i := int64(0)
	for ; i < n && shown < printMax; i++ {
		if i > 0 {
			p.put(", ")
		}
		reps := int64(1)
		if !holed {
			first := data[i*size : (i+1)*size]
			for k := i + 1; k < n && string(data[k*size:(k+1)*size]) == string(first); k++ {
				reps++
			}
		}
		if err := p.value(v.Index(i), depth+1); err != nil {
			return err
		}
		if reps > repeatThreshold {
			fmt.Fprintf(&p.b, " <repeats %d times>", reps)
			i += reps - 1
			shown += repeatThreshold
		} else {
			shown++
		}
	}
	if i < n {
		p.put("...")
	}
	p.put("}")
	return nil
}

// scalar writes a number, pointer, enum or bool from its bytes.
func (p *printer) scalar(t, s *ctype.Type, data []byte) error {
	if p.format != 0 && (p.format != 's' || s.Kind != ctype.Pointer) {
		if !(p.format == 's' && textual(t, 's')) {
			return p.formatted(t, s, data, 0)
		}
	}
	x := ctype.Extract(data, 0, 0, s.Signed)
	switch s.Kind {
	case ctype.Pointer, ctype.Reference:
		return p.pointer(s.Elem(), x)
	case ctype.Bool:
		switch x {
		case 0:
			p.put("false")
		case 1:
			p.put("true")
		default:
			p.put(decimal(data, false))
		}
	case ctype.Enum:
		p.put(enumText(s, int64(x)))
	case ctype.Float:
		p.put(floatText(data))
	case ctype.Complex:
		half := len(data) / 2
		p.put(floatText(data[:half]) + " + " + floatText(data[half:]) + "i")
	default:
		p.put(decimal(data, s.Signed))
		if textual(t, 0) {
			p.put(" " + charText(t, x))
		}
	}
	return nil
}

// pointer writes an address, what it points to by name, and the string a char
// pointer points to.
func (p *printer) pointer(elem *ctype.Type, addr uint64) error {
	p.put(p.env.address(addr))
	if elem.Strip().Kind == ctype.Func || !textual(elem, p.format) || addr == 0 {
		return nil
	}
	p.put(" ")
	text, err := p.env.cstring(elem, addr)
	p.put(text)
	return err
}

// cstring reads and writes the NUL-terminated string at addr, at most printMax
// characters of it.
func (e *Env) cstring(elem *ctype.Type, addr uint64) (string, error) {
	text, _, err := e.cstringLen(elem, addr)
	return text, err
}

// cstringLen is cstring that also tells how many bytes were read, with the NUL.
func (e *Env) cstringLen(elem *ctype.Type, addr uint64) (string, int64, error) {
	width := min(max(elem.Size(), 1), 8)
	data, ended, err := e.readString(addr, width)
	if errors.Is(err, target.ErrLost) || e.Reader.Context().Err() != nil {
		return "", 0, err
	}
	more := false
	if !ended && err == nil {
		// Full: dots, unless the string ends just here.
		next := make([]byte, width)
		if target.ReadFull(e.Reader.Context(), e.Reader.Memory(), next, addr+uint64(len(data))) == nil {
			more = ctype.Extract(next, 0, 0, false) != 0
		}
	}
	text := ""
	if err == nil || len(data) > 0 {
		text = stringText(elem, data, more)
	}
	if err != nil {
		text += fmt.Sprintf("<error: Cannot access memory at address %#x>", addr+uint64(len(data)))
	}
	return text, int64(len(data)), nil
}

func (e *Env) readString(addr uint64, width int64) (data []byte, ended bool, err error) {
	if width == 1 {
		data, ended, err = target.ReadCString(e.Reader.Context(), e.Reader.Memory(), addr, printMax)
		if ended {
			data = append(data, 0)
		}
		return data, ended, err
	}
	for int64(len(data)) < printMax*width {
		c := make([]byte, width)
		if err := target.ReadFull(e.Reader.Context(), e.Reader.Memory(), c, addr+uint64(len(data))); err != nil {
			return data, false, err
		}
		data = append(data, c...)
		if ctype.Extract(c, 0, 0, false) == 0 {
			return data, true, nil
		}
	}
	return data, false, nil
}

// address writes an address and the symbol it belongs to: 0x1040 <main+4>.
func (e *Env) address(addr uint64) string {
	s := "0x" + strconv.FormatUint(addr, 16)
	if sym := e.symbolic(addr); sym != "" {
		s += " <" + sym + ">"
	}
	return s
}

func (e *Env) symbolic(addr uint64) string {
	if e.Symbols == nil {
		return ""
	}
	name, start, ok := e.Symbols.SymbolAt(addr)
	// A function's name in the debug information is the one a person wrote: "f",
	// where the symbol of a copy made by the compiler is "f.isra.0".
	if f, entry, known := e.Symbols.FunctionAt(addr); known && (!ok || start <= entry) {
		name, start, ok = f, entry, true
	}
	if !ok {
		return ""
	}
	if addr != start {
		name += "+" + strconv.FormatUint(addr-start, 10)
	}
	return name
}

// enumText writes an enum's constant, a combination of flags, or the number.
func enumText(t *ctype.Type, x int64) string {
	vals := t.Enumerators()
	for _, v := range vals {
		if v.Value == x {
			return v.Name
		}
	}
	if !t.IsFlagEnum() {
		return strconv.FormatInt(x, 10)
	}
	var parts []string
	rest := x
	for _, v := range vals {
		if v.Value != 0 && rest&v.Value == v.Value {
			parts = append(parts, v.Name)
			rest &^= v.Value
		}
	}
	if rest != 0 {
		parts = append(parts, "unknown: 0x"+strconv.FormatUint(uint64(rest), 16))
	}
	if len(parts) == 0 {
		return "0"
	}
	return "(" + strings.Join(parts, " | ") + ")"
}

// number takes little-endian bytes as a number of any width.
func number(data []byte, signed bool) *big.Int {
	be := make([]byte, len(data))
	for i, c := range data {
		be[len(data)-1-i] = c
	}
	x := new(big.Int).SetBytes(be)
	if signed && len(data) > 0 && data[len(data)-1]&0x80 != 0 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(data))))
	}
	return x
}

func decimal(data []byte, signed bool) string {
	if len(data) <= 8 {
		x := ctype.Extract(data, 0, 0, signed)
		if signed {
			return strconv.FormatInt(int64(x), 10)
		}
		return strconv.FormatUint(x, 10)
	}
	return number(data, signed).String()
}
