package tracebuf

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	definitionMagic  = 0x65645054 // "TPde"
	definitionHeader = 19         // magic, size, cookie, args_nr, name_len, format_len

	// MaxSection bounds the definitions section: upstream's 169 tracepoints
	// take 13 KiB.
	MaxSection = 16 << 20
)

// ArgType is how an argument is stored in a record.
type ArgType uint8

const (
	// ArgInt is Size raw bytes, little-endian, without a sign.
	ArgInt ArgType = 0
	// ArgString is a length byte and that many bytes.
	ArgString ArgType = 1
)

// Arg describes one argument of a tracepoint.
type Arg struct {
	Type ArgType
	// Size is that of the C type in bytes: 1, 2, 4 or 8 with ArgInt; with
	// ArgString it is the pointer's and not stored.
	Size uint8
}

// Definition is one tracepoint as the image defines it.
type Definition struct {
	// Index is the position among Definitions.All.
	Index int
	// Cookie is the link-time address of the definition.
	Cookie uint64
	Name   string
	// Format is the C printf format, as written in the source.
	Format string
	Args   []Arg
	// Offset is where the definition lies in its section.
	Offset int

	text format
	// fixed is the size in bytes of all arguments if none is a string, or of
	// those before the first string; offsets holds where each of these starts.
	fixed      int
	offsets    []int
	hasStrings bool
	// steps read the arguments one by one. They take bare bytes and those of
	// the strings, the first of which has its length at lengthAt; lengthMask is
	// 0 where there is none.
	steps      []step
	strings    int
	bare       uint64
	lengthAt   uint64
	lengthMask uint64
}

// FormatProblem says in what way the format and the arguments disagree, ""
// where they agree.
func (d *Definition) FormatProblem() string { return d.text.problem }

// ArgName is the name the format gives argument i, as in "fd=%d", or "".
func (d *Definition) ArgName(i int) string {
	if i < 0 || i >= len(d.text.names) {
		return ""
	}
	return d.text.names[i]
}

// Signed tells whether the format prints integer argument i with a sign.
func (d *Definition) Signed(i int) bool {
	return i >= 0 && i < len(d.text.signed) && d.text.signed[i]
}

// DefinitionError is a part of the definitions section that could not be read.
type DefinitionError struct {
	// Offset is where the bad part starts in the section, Size how many bytes
	// were skipped.
	Offset, Size int
	Reason       string
}

func (e *DefinitionError) Error() string {
	return fmt.Sprintf("tracepoint definition at offset %#x: %s (%d bytes skipped)", e.Offset, e.Reason, e.Size)
}

// Definitions are the tracepoints of an image.
type Definitions struct {
	All []*Definition
	// Bad lists what was skipped in the section.
	Bad []*DefinitionError

	byCookie map[uint64]*Definition
	// dense finds a definition by (cookie − lowest) / 8, which is most of the
	// cost of a record: cookies are addresses in one small section.
	dense  []*Definition
	lowest uint64
}

// maxBad bounds how many bad parts are listed one by one.
const maxBad = 64

// ParseDefinitions reads the bytes of section .uk_tracepoints_list. Bad parts
// are skipped to the next good entry and listed in Bad. The error is for a
// section that is no such section at all.
func ParseDefinitions(section []byte) (*Definitions, error) {
	if len(section) > MaxSection {
		return nil, fmt.Errorf("tracepoint definitions: section has %d bytes, more than %d; is it .uk_tracepoints_list?", len(section), MaxSection)
	}
	d := &Definitions{byCookie: map[uint64]*Definition{}}
	for pos := 0; ; {
		pos = skipZeros(section, pos)
		if pos == len(section) {
			break
		}
		def, size, reason := parseDefinition(section[pos:])
		if reason == "" && d.byCookie[def.Cookie] != nil {
			reason = fmt.Sprintf("cookie %#x is that of another definition", def.Cookie)
		}
		if reason != "" {
			next := nextMagic(section, pos+1)
			d.bad(pos, next-pos, reason)
			pos = next
			continue
		}
		def.Index, def.Offset = len(d.All), pos
		d.All = append(d.All, def)
		d.byCookie[def.Cookie] = def
		pos += size
	}
	if len(d.All) == 0 && len(d.Bad) > 0 {
		return nil, fmt.Errorf("tracepoint definitions: no entry could be read: %w", d.Bad[0])
	}
	d.index()
	return d, nil
}

func (d *Definitions) bad(offset, size int, reason string) {
	if n := len(d.Bad); n == maxBad {
		last := d.Bad[n-1]
		last.Size = offset + size - last.Offset
		last.Reason = "too many bad entries; the rest is not listed"
		return
	}
	d.Bad = append(d.Bad, &DefinitionError{Offset: offset, Size: size, Reason: reason})
}

// parseDefinition reads one entry at the start of b and its size in the
// section, or says why it is none.
func parseDefinition(b []byte) (def *Definition, size int, reason string) {
	if len(b) < definitionHeader {
		return nil, 0, "cut off before the end of its header"
	}
	if binary.LittleEndian.Uint32(b) != definitionMagic {
		return nil, 0, "no magic number"
	}
	claimed := uint64(binary.LittleEndian.Uint32(b[4:]))
	nargs, nameLen, formatLen := int(b[16]), int(b[17]), int(b[18])
	need := definitionHeader + 2*nargs + nameLen + formatLen
	switch {
	case claimed < uint64(need):
		return nil, 0, fmt.Sprintf("size is %d but its parts take %d bytes", claimed, need)
	case claimed > uint64(need)+32:
		// The compiler pads to the struct's alignment, never by more.
		return nil, 0, fmt.Sprintf("size is %d but its parts take only %d bytes", claimed, need)
	case claimed > uint64(len(b)):
		return nil, 0, fmt.Sprintf("size is %d but the section has only %d bytes left", claimed, len(b))
	}
	sizes := b[definitionHeader:][:nargs]
	types := b[definitionHeader+nargs:][:nargs]
	name, ok := cString(b[definitionHeader+2*nargs:][:nameLen])
	if !ok || name == "" {
		return nil, 0, "name is empty or not NUL-terminated"
	}
	text, ok := cString(b[definitionHeader+2*nargs+nameLen:][:formatLen])
	if !ok {
		return nil, 0, "format is not NUL-terminated"
	}
	def = &Definition{Cookie: binary.LittleEndian.Uint64(b[8:]), Name: name, Format: text, Args: make([]Arg, nargs)}
	for i := range def.Args {
		a := Arg{Type: ArgType(types[i]), Size: sizes[i]}
		switch {
		case a.Type > ArgString:
			return nil, 0, fmt.Sprintf("argument %d has the unknown type %d", i, a.Type)
		case a.Type == ArgInt && a.Size != 1 && a.Size != 2 && a.Size != 4 && a.Size != 8:
			return nil, 0, fmt.Sprintf("argument %d is an integer of %d bytes", i, a.Size)
		}
		def.Args[i] = a
		def.layout(a)
	}
	def.plan()
	def.text = compileFormat(text, def.Args)
	return def, int(claimed), ""
}

// layout extends the offsets known in advance by the next argument.
func (d *Definition) layout(a Arg) {
	if d.hasStrings {
		return
	}
	d.offsets = append(d.offsets, d.fixed)
	if a.Type == ArgString {
		d.hasStrings = true
		return
	}
	d.fixed += int(a.Size)
}

// index prepares Lookup.
func (d *Definitions) index() {
	if len(d.All) == 0 {
		return
	}
	low, high := d.All[0].Cookie, d.All[0].Cookie
	for _, def := range d.All {
		low, high = min(low, def.Cookie), max(high, def.Cookie)
	}
	// A definition takes at most 19+2·255+2·255 bytes; more than that per
	// entry means that the cookies are no addresses in one section.
	span := (high - low) / 8
	if span > uint64(len(d.All))*160 {
		return
	}
	dense := make([]*Definition, span+1)
	for _, def := range d.All {
		if (def.Cookie-low)%8 != 0 {
			return
		}
		dense[(def.Cookie-low)/8] = def
	}
	d.dense, d.lowest = dense, low
}

// Lookup returns the definition with a link-time cookie, or nil.
func (d *Definitions) Lookup(cookie uint64) *Definition {
	if d.dense == nil {
		return d.byCookie[cookie]
	}
	off := cookie - d.lowest
	if off&7 != 0 || off>>3 >= uint64(len(d.dense)) {
		return nil
	}
	return d.dense[off>>3]
}

// ByName returns the first definition called name, or nil. Names need not be
// unique: a tracepoint in a header is defined once per file.
func (d *Definitions) ByName(name string) *Definition {
	for _, def := range d.All {
		if def.Name == name {
			return def
		}
	}
	return nil
}

// skipZeros passes the padding between entries: up to 32 bytes on x86_64, up to
// 8 on arm64.
func skipZeros(b []byte, pos int) int {
	for pos < len(b) && b[pos] == 0 {
		pos++
	}
	return pos
}

// nextMagic finds the next definition magic at or after pos, or the end.
func nextMagic(b []byte, pos int) int {
	if pos < len(b) {
		if i := bytes.Index(b[pos:], []byte("TPde")); i >= 0 {
			return pos + i
		}
	}
	return len(b)
}

// cString returns the text before the NUL that must end b.
func cString(b []byte) (string, bool) {
	if len(b) == 0 || b[len(b)-1] != 0 {
		return "", false
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return string(b[:i]), true
	}
	return "", false
}
