package pickle

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bounds on what a file may make us keep.
const (
	maxStack = 1024
	maxMemo  = 4096
	maxOps   = 1 << 16
	maxItems = 4096 // of a dict
)

// OpcodeError is an opcode that is not needed for a trace, which may be one that
// runs code.
type OpcodeError struct {
	Opcode byte
	Offset int
}

func (e *OpcodeError) Error() string {
	return fmt.Sprintf("pickle: opcode %#02x (%q) at offset %d is not allowed: a trace needs only dicts, texts, integers and bytes", e.Opcode, e.Opcode, e.Offset)
}

// mark is the value MARK leaves on the stack.
type mark struct{}

// encode stands for the function _codecs.encode, which is never called.
type encode struct{}

// tuple is the arguments of encode.
type tuple []any

// machine runs one pickle.
type machine struct {
	b     []byte
	pos   int
	stack []any
	memo  map[uint64]any
}

// errorf names the place.
func (m *machine) errorf(format string, a ...any) error {
	return fmt.Errorf("pickle: at offset %d: %s", m.pos, fmt.Sprintf(format, a...))
}

func (m *machine) take(n uint64) ([]byte, error) {
	if n > uint64(len(m.b)-m.pos) {
		return nil, m.errorf("%d bytes wanted, %d left", n, len(m.b)-m.pos)
	}
	out := m.b[m.pos : m.pos+int(n) : m.pos+int(n)]
	m.pos += int(n)
	return out, nil
}

// length reads a little-endian integer of size bytes.
func (m *machine) length(size int) (uint64, error) {
	b, err := m.take(uint64(size))
	if err != nil {
		return 0, err
	}
	var w [8]byte
	copy(w[:], b)
	return binary.LittleEndian.Uint64(w[:]), nil
}

// counted reads a length of size bytes and that many bytes.
func (m *machine) counted(size int) ([]byte, error) {
	n, err := m.length(size)
	if err != nil {
		return nil, err
	}
	return m.take(n)
}

// line reads up to a newline.
func (m *machine) line() (string, error) {
	end := strings.IndexByte(string(m.b[m.pos:min(len(m.b), m.pos+maxItems)]), '\n')
	if end < 0 {
		return "", m.errorf("a line that does not end")
	}
	s := string(m.b[m.pos : m.pos+end])
	m.pos += end + 1
	return s, nil
}

func (m *machine) push(v any) error {
	if len(m.stack) == maxStack {
		return m.errorf("more than %d values on the stack", maxStack)
	}
	m.stack = append(m.stack, v)
	return nil
}

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, m.errorf("the stack is empty")
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

// sinceMark takes what was pushed since the last MARK, and the mark.
func (m *machine) sinceMark() ([]any, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, ok := m.stack[i].(mark); ok {
			items := append([]any(nil), m.stack[i+1:]...)
			m.stack = m.stack[:i]
			return items, nil
		}
	}
	return nil, m.errorf("there is no mark")
}

// run reads one pickle and returns its object.
func (m *machine) run() (any, error) {
	m.stack, m.memo = m.stack[:0], map[uint64]any{}
	for range maxOps {
		at := m.pos
		op, err := m.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			return m.pop()
		}
		known, err := m.do(op[0])
		if err != nil {
			return nil, err
		}
		if !known {
			return nil, &OpcodeError{op[0], at}
		}
	}
	return nil, m.errorf("more than %d opcodes", maxOps)
}

// do executes one opcode; known is false if it is none of ours.
func (m *machine) do(op byte) (known bool, err error) {
	for _, f := range []func(byte) (bool, error){m.frame, m.number, m.text, m.container, m.remember} {
		if known, err = f(op); known || err != nil {
			return true, err
		}
	}
	return false, nil
}

// frame: PROTO, FRAME.
func (m *machine) frame(op byte) (bool, error) {
	switch op {
	case 0x80:
		v, err := m.length(1)
		if err == nil && v > 5 {
			err = m.errorf("protocol %d; 0 to 5 are known", v)
		}
		return true, err
	case 0x95:
		_, err := m.length(8)
		return true, err
	}
	return false, nil
}

// number: INT, LONG, BININT, BININT1, BININT2, LONG1, NEWTRUE, NEWFALSE, NONE.
func (m *machine) number(op byte) (bool, error) {
	var v uint64
	var err error
	switch op {
	case 'I', 'L':
		var s string
		if s, err = m.line(); err != nil {
			return true, err
		}
		n, perr := strconv.ParseInt(strings.TrimSuffix(s, "L"), 10, 64)
		if perr != nil {
			return true, m.errorf("%.20q is no integer of 64 bits", s)
		}
		return true, m.push(n)
	case 'J':
		if v, err = m.length(4); err == nil {
			err = m.push(int64(int32(v)))
		}
	case 'K', 'M':
		if v, err = m.length(map[byte]int{'K': 1, 'M': 2}[op]); err == nil {
			err = m.push(int64(v))
		}
	case 0x8a:
		var b []byte
		if b, err = m.counted(1); err != nil {
			return true, err
		}
		if len(b) > 8 {
			return true, m.errorf("an integer of %d bytes", len(b))
		}
		var w [8]byte
		copy(w[:], b)
		if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
			for i := len(b); i < 8; i++ {
				w[i] = 0xff
			}
		}
		err = m.push(int64(binary.LittleEndian.Uint64(w[:])))
	default:
		return false, nil
	}
	return true, err
}

// text: UNICODE, BINUNICODE, SHORT_BINUNICODE, BINUNICODE8, BINBYTES,
// SHORT_BINBYTES, BINBYTES8, BYTEARRAY8; STRING is Python 2's.
func (m *machine) text(op byte) (bool, error) {
	sizes := map[byte]int{'X': 4, 0x8c: 1, 0x8d: 8, 'B': 4, 'C': 1, 0x8e: 8, 0x96: 8}
	switch op {
	case 'V':
		s, err := m.line()
		if err != nil {
			return true, err
		}
		s, err = unescape(s)
		if err != nil {
			return true, m.errorf("%v", err)
		}
		return true, m.push(s)
	case 'X', 0x8c, 0x8d:
		b, err := m.counted(sizes[op])
		if err != nil {
			return true, err
		}
		return true, m.push(string(b))
	case 'B', 'C', 0x8e, 0x96:
		b, err := m.counted(sizes[op])
		if err != nil {
			return true, err
		}
		return true, m.push(b)
	}
	return false, nil
}

// unescape undoes raw-unicode-escape: \uXXXX and \UXXXXXXXX, bytes else are
// latin-1.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); {
		n := 0
		if s[i] == '\\' && i+1 < len(s) {
			n = map[byte]int{'u': 4, 'U': 8}[s[i+1]]
		}
		if n == 0 {
			b.WriteRune(rune(s[i]))
			i++
			continue
		}
		if i+2+n > len(s) {
			return "", fmt.Errorf("an escape that does not end in a text")
		}
		v, err := strconv.ParseUint(s[i+2:i+2+n], 16, 32)
		if err != nil || v > math.MaxInt32 {
			return "", fmt.Errorf("a bad escape in a text")
		}
		b.WriteRune(rune(v))
		i += 2 + n
	}
	return b.String(), nil
}

// container: EMPTY_DICT, DICT, MARK, SETITEM, SETITEMS, EMPTY_TUPLE, TUPLE,
// TUPLE2; GLOBAL and REDUCE for _codecs.encode alone.
func (m *machine) container(op byte) (bool, error) {
	switch op {
	case '}':
		return true, m.push(map[string]any{})
	case '(':
		return true, m.push(mark{})
	case 'd':
		items, err := m.sinceMark()
		if err != nil {
			return true, err
		}
		d := map[string]any{}
		if err := m.set(d, items); err != nil {
			return true, err
		}
		return true, m.push(d)
	case 's', 'u':
		return true, m.setItems(op == 'u')
	case 't':
		items, err := m.sinceMark()
		if err != nil {
			return true, err
		}
		return true, m.push(tuple(items))
	case 0x86:
		b, err := m.pop()
		if err != nil {
			return true, err
		}
		a, err := m.pop()
		if err != nil {
			return true, err
		}
		return true, m.push(tuple{a, b})
	case 'c':
		module, err := m.line()
		if err != nil {
			return true, err
		}
		name, err := m.line()
		if err != nil {
			return true, err
		}
		if module != "_codecs" || name != "encode" {
			return true, m.errorf("the file asks for %.40q, which is not run", module+"."+name)
		}
		return true, m.push(encode{})
	case 'R':
		return true, m.reduce()
	}
	return false, nil
}

func (m *machine) setItems(many bool) error {
	var items []any
	var err error
	if many {
		if items, err = m.sinceMark(); err != nil {
			return err
		}
	} else {
		v, err := m.pop()
		if err != nil {
			return err
		}
		k, err := m.pop()
		if err != nil {
			return err
		}
		items = []any{k, v}
	}
	if len(m.stack) == 0 {
		return m.errorf("items of no dict")
	}
	d, ok := m.stack[len(m.stack)-1].(map[string]any)
	if !ok {
		return m.errorf("items of no dict")
	}
	return m.set(d, items)
}

func (m *machine) set(d map[string]any, items []any) error {
	if len(items)%2 != 0 || len(d)+len(items)/2 > maxItems {
		return m.errorf("a dict of %d keys and values", len(items))
	}
	for i := 0; i < len(items); i += 2 {
		k, ok := items[i].(string)
		if !ok {
			return m.errorf("a dict's key is no text")
		}
		d[k] = items[i+1]
	}
	return nil
}

// reduce makes the bytes that encode(text, "latin1") would.
func (m *machine) reduce() error {
	a, err := m.pop()
	if err != nil {
		return err
	}
	f, err := m.pop()
	if err != nil {
		return err
	}
	args, ok := a.(tuple)
	if _, isEncode := f.(encode); !ok || !isEncode || len(args) != 2 {
		return m.errorf("the file asks for a call, which is not run")
	}
	text, ok := args[0].(string)
	if how, named := args[1].(string); !ok || !named || how != "latin1" {
		return m.errorf("bytes that are not written as latin-1")
	}
	out := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return m.errorf("bytes with the character %U", r)
		}
		out = append(out, byte(r))
	}
	return m.push(out)
}

// remember: PUT, BINPUT, LONG_BINPUT, MEMOIZE, GET, BINGET, LONG_BINGET.
func (m *machine) remember(op byte) (bool, error) {
	var n uint64
	var err error
	switch op {
	case 'p', 'g':
		var s string
		if s, err = m.line(); err != nil {
			return true, err
		}
		if n, err = strconv.ParseUint(s, 10, 32); err != nil {
			return true, m.errorf("%.20q is no number", s)
		}
	case 'q', 'h':
		n, err = m.length(1)
	case 'r', 'j':
		n, err = m.length(4)
	case 0x94:
		n = uint64(len(m.memo))
	default:
		return false, nil
	}
	if err != nil {
		return true, err
	}
	switch op {
	case 'g', 'h', 'j':
		v, ok := m.memo[n]
		if !ok {
			return true, m.errorf("nothing is remembered as %d", n)
		}
		return true, m.push(v)
	}
	if len(m.stack) == 0 || len(m.memo) == maxMemo {
		return true, m.errorf("nothing to remember, or too much")
	}
	m.memo[n] = m.stack[len(m.stack)-1]
	return true, nil
}
