package line

import (
	"fmt"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Sections are the DWARF sections a line program refers to; Line is
// .debug_line, LineStr .debug_line_str and Str .debug_str.
type Sections struct {
	Line, LineStr, Str []byte
	// BigEndian tells the order of the bytes of numbers.
	BigEndian bool
}

// Header is the head of one line program.
type Header struct {
	// Version is 2 to 5.
	Version int
	// Files is the file table; rows refer to it by index. Before DWARF 5 the
	// table counts from 1, and entry 0 stands for the unit's own file.
	Files []File

	dirs       [][]byte
	compDir    string
	offset     uint64
	addrSize   int
	minInst    uint64
	maxOps     uint64
	defaultIs  bool
	lineBase   int64
	lineRange  uint64
	opcodeBase uint8
	argCounts  []byte // operands of standard opcode i+1
	program    []byte
	bigEndian  bool
	tableFiles int // length of Files before DW_LNE_define_file adds to it
}

// File is one entry of a file table, as it stands there. Name points into the
// section and must not be changed: most names of a table are never asked for.
type File struct {
	Name []byte
	Dir  int // index into the directories
}

// ParseHeader reads the program header at offset off of .debug_line. compDir
// and unitName are DW_AT_comp_dir and DW_AT_name of the unit, used before
// DWARF 5 and to complete relative names.
func ParseHeader(sec Sections, off uint64, compDir, unitName string) (*Header, error) {
	h := &Header{bigEndian: sec.BigEndian, compDir: compDir, offset: off, addrSize: 8}
	r := dwbuf.NewOrder(sec.Line, off, sec.BigEndian)
	length, offSize := r.UnitLength()
	r.Limit(length)
	h.Version = int(r.U16())
	if r.Failed() {
		return nil, h.damaged("header is cut off")
	}
	if h.Version < 2 || h.Version > 5 {
		return nil, h.damaged(fmt.Sprintf("version %d, known are 2 to 5", h.Version))
	}
	if h.Version >= 5 {
		h.addrSize = int(r.U8())
		if seg := r.U8(); seg != 0 {
			return nil, h.damaged("segmented addresses")
		}
	}
	headerLength := r.Uint(offSize)
	body := r
	body.Skip(headerLength)
	h.program = body.Bytes(uint64(body.Len()))
	r.Limit(headerLength)
	h.minInst = uint64(r.U8())
	h.maxOps = 1
	if h.Version >= 4 {
		h.maxOps = uint64(r.U8())
	}
	h.defaultIs = r.U8() != 0
	h.lineBase = int64(int8(r.U8()))
	h.lineRange = uint64(r.U8())
	h.opcodeBase = r.U8()
	if h.opcodeBase > 0 {
		h.argCounts = r.Bytes(uint64(h.opcodeBase) - 1)
	}
	switch {
	case r.Failed() || body.Failed():
		return nil, h.damaged("header is cut off")
	case h.lineRange == 0 || h.maxOps == 0 || h.opcodeBase == 0:
		return nil, h.damaged("line_range, maximum_operations or opcode_base is 0")
	case h.addrSize != 4 && h.addrSize != 8:
		return nil, h.damaged(fmt.Sprintf("addresses of %d bytes", h.addrSize))
	}
	if h.Version >= 5 {
		h.tables5(&r, sec, offSize)
	} else {
		h.tables2(&r, unitName)
	}
	if r.Failed() {
		return nil, h.damaged("file table is damaged")
	}
	h.tableFiles = len(h.Files)
	return h, nil
}

func (h *Header) damaged(what string) error {
	return fmt.Errorf("line program at %#x of .debug_line: %s", h.offset, what)
}

// tables2 reads the directory and file tables of versions 2 to 4.
func (h *Header) tables2(r *dwbuf.Reader, unitName string) {
	h.dirs = append(h.dirs, []byte(h.compDir))
	for {
		d := r.CString()
		if len(d) == 0 {
			break
		}
		h.dirs = append(h.dirs, d)
	}
	h.Files = append(h.Files, File{Name: []byte(unitName)})
	for !r.Failed() {
		name := r.CString()
		if len(name) == 0 {
			break
		}
		h.Files = append(h.Files, File{name, index(r.Uleb())})
		r.Uleb() // time
		r.Uleb() // length
	}
}

// index makes an index of a number that may be anything; -1 is in no table.
func index(v uint64) int {
	if v > 1<<30 {
		return -1
	}
	return int(v)
}

// Content types and forms used in version 5 tables (DWARF 5, sections 7.22 and
// 7.5.6).
const (
	lnctPath           = 1
	lnctDirectoryIndex = 2

	formBlock2  = 0x03
	formBlock4  = 0x04
	formData2   = 0x05
	formData4   = 0x06
	formData8   = 0x07
	formString  = 0x08
	formBlock   = 0x09
	formBlock1  = 0x0a
	formData1   = 0x0b
	formStrp    = 0x0e
	formUdata   = 0x0f
	formData16  = 0x1e
	formLineStr = 0x1f
)

type entryFormat struct{ content, form uint64 }

func (h *Header) tables5(r *dwbuf.Reader, sec Sections, offSize int) {
	h.eachEntry(r, sec, offSize, func(name []byte, _ int) { h.dirs = append(h.dirs, name) })
	h.eachEntry(r, sec, offSize, func(name []byte, dir int) { h.Files = append(h.Files, File{name, dir}) })
}

// eachEntry reads one version 5 table: a format, then entries by it. Every
// entry takes at least a byte, so the table is bounded by the section.
func (h *Header) eachEntry(r *dwbuf.Reader, sec Sections, offSize int, add func(name []byte, dir int)) {
	var few [8]entryFormat
	formats := few[:0:len(few)]
	for n := r.U8(); n > 0; n-- {
		formats = append(formats, entryFormat{r.Uleb(), r.Uleb()})
	}
	count := r.Uleb()
	if len(formats) == 0 && count > 0 {
		r.Fail()
	}
	for ; count > 0 && !r.Failed(); count-- {
		var name []byte
		dir := 0
		for _, f := range formats {
			s, n := readForm(r, sec, offSize, f.form)
			switch f.content {
			case lnctPath:
				name = s
			case lnctDirectoryIndex:
				dir = index(n)
			}
		}
		if !r.Failed() {
			add(name, dir)
		}
	}
}

func readForm(r *dwbuf.Reader, sec Sections, offSize int, form uint64) (s []byte, n uint64) {
	switch form {
	case formString:
		return r.CString(), 0
	case formLineStr:
		return stringAt(sec.LineStr, r.Uint(offSize)), 0
	case formStrp:
		return stringAt(sec.Str, r.Uint(offSize)), 0
	case formUdata:
		return nil, r.Uleb()
	case formData1:
		return nil, uint64(r.U8())
	case formData2:
		return nil, uint64(r.U16())
	case formData4:
		return nil, uint64(r.U32())
	case formData8:
		return nil, r.U64()
	case formData16:
		r.Skip(16)
	case formBlock:
		r.Skip(r.Uleb())
	case formBlock1:
		r.Skip(uint64(r.U8()))
	case formBlock2:
		r.Skip(uint64(r.U16()))
	case formBlock4:
		r.Skip(uint64(r.U32()))
	default:
		r.Fail()
	}
	return nil, 0
}

func stringAt(b []byte, off uint64) []byte {
	r := dwbuf.New(b, off)
	return r.CString()
}

// Path returns the full name of file i: the name in the table, completed with
// its directory and the compilation directory where relative. A leading "./" of
// a part is dropped, ".." stays, because behind it may be a symbolic link. It is
// "" for an index that is not in the table.
func (h *Header) Path(i uint32) string {
	if uint64(i) >= uint64(len(h.Files)) {
		return ""
	}
	f := h.Files[i]
	if len(f.Name) == 0 {
		return ""
	}
	dir := ""
	if f.Dir >= 0 && f.Dir < len(h.dirs) {
		dir = string(h.dirs[f.Dir])
	}
	return Join(Join(h.compDir, dir), string(f.Name))
}

// Join completes a relative name with a directory.
func Join(dir, name string) string {
	for strings.HasPrefix(name, "./") {
		name = strings.TrimLeft(name[2:], "/")
	}
	switch {
	case name == "" || name == ".":
		return dir
	case dir == "" || strings.HasPrefix(name, "/"):
		return name
	case strings.HasSuffix(dir, "/"):
		return dir + name
	}
	return dir + "/" + name
}
