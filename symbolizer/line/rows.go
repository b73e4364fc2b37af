package line

import (
	"cmp"
	"math"
	"slices"

	"github.com/ukdbg/ukdbg/symbolizer/internal/dwbuf"
)

// Flags of a row.
type Flags uint8

const (
	// IsStmt: a recommended place for a breakpoint.
	IsStmt Flags = 1 << iota
	// PrologueEnd: the first place after a function's prologue.
	PrologueEnd
	// EpilogueBegin: the start of a function's epilogue.
	EpilogueBegin
	// EndSequence: the first address past a sequence; it has no line.
	EndSequence
	// Discriminated: the row has a discriminator, so that it is one of
	// several blocks of the line.
	Discriminated
	// Continues: the row begins another block of the line of the row before it,
	// which gdb does not tell apart (dwarf_record_line_p in gdb/dwarf2/read.c).
	Continues
)

// Row says that the code from Addr to the next row belongs to a line.
type Row struct {
	Addr uint64
	// File is an index for Header.Path.
	File uint32
	// Line is 0 for code that belongs to no line.
	Line uint32
	// Column is 0 for the whole line; columns past 65535 are cut to it.
	Column uint16
	Flags  Flags
}

// Sequence is a contiguous run of code: Rows[First] to Rows[Last], which has
// EndSequence.
type Sequence struct {
	Start, End  uint64 // End is the first address past it
	First, Last int
}

// Table is a decoded line program.
type Table struct {
	// Rows are grouped by sequence and ordered by address in each.
	Rows []Row
	// Sequences are ordered by start.
	Sequences []Sequence
}

// Standard and extended opcodes (DWARF 5, sections 7.22 and 6.2.5).
const (
	lnsCopy             = 1
	lnsAdvancePC        = 2
	lnsAdvanceLine      = 3
	lnsSetFile          = 4
	lnsSetColumn        = 5
	lnsNegateStmt       = 6
	lnsSetBasicBlock    = 7
	lnsConstAddPC       = 8
	lnsFixedAdvancePC   = 9
	lnsSetPrologueEnd   = 10
	lnsSetEpilogueBegin = 11
	lnsSetISA           = 12

	lneEndSequence      = 1
	lneSetAddress       = 2
	lneDefineFile       = 3
	lneSetDiscriminator = 4
)

// machine is the state of the line number program (DWARF 5, section 6.2.2).
type machine struct {
	h       *Header
	t       *Table
	row     Row
	line    uint64
	opIndex uint64
	blocks  bool // the line has discriminators
	first   int  // first row of the open sequence
	sorted  bool // the open sequence's rows are in order so far
}

// Rows runs the program. With an error it still gives what came before.
func (h *Header) Rows() (*Table, error) {
	t := &Table{Rows: make([]Row, 0, len(h.program)/3)}
	return t, h.RowsInto(t)
}

// RowsInto is Rows with the storage of a table used before.
func (h *Header) RowsInto(t *Table) error {
	h.Files = h.Files[:h.tableFiles] // without what an earlier run defined
	t.Rows, t.Sequences = t.Rows[:0], t.Sequences[:0]
	m := machine{h: h, t: t}
	m.reset()
	r := dwbuf.NewOrder(h.program, 0, h.bigEndian)
	for r.Len() > 0 {
		op := r.U8()
		switch {
		case op >= h.opcodeBase:
			special := uint64(op - h.opcodeBase)
			m.advance(special / h.lineRange)
			m.line += uint64(h.lineBase + int64(special%h.lineRange))
			m.emit()
		case op == 0:
			m.extended(&r)
		default:
			m.standard(&r, op)
		}
		if r.Failed() {
			m.t.Rows = m.t.Rows[:m.first]
			m.finish()
			return h.damaged("program is cut off")
		}
	}
	m.t.Rows = m.t.Rows[:m.first] // a sequence without an end
	m.finish()
	return nil
}

func (m *machine) reset() {
	m.row = Row{File: 1}
	m.line = 1
	m.opIndex = 0
	if m.h.defaultIs {
		m.row.Flags = IsStmt
	}
	m.first = len(m.t.Rows)
	m.sorted = true
}

// advance moves the address by operation advance n.
func (m *machine) advance(n uint64) {
	if m.h.maxOps == 1 {
		m.row.Addr += n * m.h.minInst
		return
	}
	op := m.opIndex + n
	m.row.Addr += op / m.h.maxOps * m.h.minInst
	m.opIndex = op % m.h.maxOps
}

func (m *machine) emit() {
	m.row.Line = uint32(min(m.line, math.MaxUint32))
	if m.line > math.MaxInt64 { // went below 0
		m.row.Line = 0
	}
	m.row.Flags &^= Continues
	if n := len(m.t.Rows); n > m.first {
		last := &m.t.Rows[n-1]
		if last.Addr > m.row.Addr {
			m.sorted = false
		}
		if last.Line != m.row.Line || last.File != m.row.File {
			m.blocks = m.row.Flags&Discriminated != 0
		} else if m.blocks = m.blocks || m.row.Flags&Discriminated != 0; m.blocks && m.row.Flags&EndSequence == 0 {
			m.row.Flags |= Continues
		}
	}
	m.t.Rows = append(m.t.Rows, m.row)
	m.row.Flags &= IsStmt
}

func (m *machine) standard(r *dwbuf.Reader, op uint8) {
	switch op {
	case lnsCopy:
		m.emit()
	case lnsAdvancePC:
		m.advance(r.Uleb())
	case lnsAdvanceLine:
		m.line += uint64(r.Sleb())
	case lnsSetFile:
		m.row.File = uint32(min(r.Uleb(), math.MaxUint32))
	case lnsSetColumn:
		m.row.Column = uint16(min(r.Uleb(), math.MaxUint16))
	case lnsNegateStmt:
		m.row.Flags ^= IsStmt
	case lnsSetBasicBlock:
	case lnsConstAddPC:
		m.advance(uint64(255-m.h.opcodeBase) / m.h.lineRange)
	case lnsFixedAdvancePC:
		m.row.Addr += uint64(r.U16())
		m.opIndex = 0
	case lnsSetPrologueEnd:
		m.row.Flags |= PrologueEnd
	case lnsSetEpilogueBegin:
		m.row.Flags |= EpilogueBegin
	case lnsSetISA:
		r.Uleb()
	default:
		for range m.h.argCounts[op-1] {
			r.Uleb()
		}
	}
}

func (m *machine) extended(r *dwbuf.Reader) {
	n := r.Uleb()
	if n == 0 || n > uint64(r.Len()) {
		r.Fail()
		return
	}
	next := r.Offset() + n
	switch r.U8() {
	case lneEndSequence:
		m.row.Flags |= EndSequence
		m.emit()
		m.endSequence()
		m.reset()
	case lneSetAddress:
		m.row.Addr = r.Uint(int(n - 1))
		m.opIndex = 0
	case lneDefineFile:
		name := r.CString()
		m.h.Files = append(m.h.Files, File{name, index(r.Uleb())})
	case lneSetDiscriminator:
		if r.Uleb() != 0 {
			m.row.Flags |= Discriminated
		}
	}
	if !r.Failed() {
		r.Seek(next)
	}
}

// endSequence closes the rows since the last one into a sequence, if they cover
// any code.
func (m *machine) endSequence() {
	rows := m.t.Rows[m.first:]
	if !m.sorted {
		body := rows[:len(rows)-1]
		slices.SortStableFunc(body, func(a, b Row) int { return cmp.Compare(a.Addr, b.Addr) })
	}
	last := len(rows) - 1
	start, end := rows[0].Addr, rows[last].Addr
	if last == 0 || start >= end || rows[last-1].Addr > end {
		m.t.Rows = m.t.Rows[:m.first]
		return
	}
	m.t.Sequences = append(m.t.Sequences, Sequence{start, end, m.first, m.first + last})
}

func (m *machine) finish() {
	slices.SortStableFunc(m.t.Sequences, func(a, b Sequence) int { return cmp.Compare(a.Start, b.Start) })
}

// overlap bounds how many sequences that start at or below an address are
// tried: those of discarded sections may cover live code.
const overlap = 16

// Find returns the index of the row addr belongs to, as gdb sees it
// (find_pc_sect_line in gdb/symtab.c). Of several rows at the same address that
// is the last one that is a statement, or just the last if none is; the last row
// of all, which llvm-symbolizer takes, often is a mere note of where one
// instruction of the statement comes from. And a row that Continues counts only
// if it does not change the line.
func (t *Table) Find(addr uint64) (row int, ok bool) {
	last, ok := t.FindLast(addr)
	if !ok {
		return 0, false
	}
	k := t.counts(last)
	if r, of := &t.Rows[last], &t.Rows[k]; r.Addr != of.Addr && r.Line == of.Line && r.File == of.File {
		k = last // its column is the better one
	}
	return k, true
}

// FindLast returns the index of the last row at or below addr, as the
// specification has it (DWARF 5, section 6.2.2) and llvm-symbolizer takes it.
func (t *Table) FindLast(addr uint64) (row int, ok bool) {
	n, _ := slices.BinarySearchFunc(t.Sequences, addr, func(s Sequence, a uint64) int {
		if s.Start <= a {
			return -1
		}
		return 1
	})
	for k := n - 1; k >= 0 && k >= n-overlap; k-- {
		s := t.Sequences[k]
		if addr >= s.End {
			continue
		}
		// Written out: for many addresses this is where the time goes.
		low, high := s.First, s.Last
		for low < high {
			if k := int(uint(low+high) / 2); t.Rows[k].Addr <= addr {
				low = k + 1
			} else {
				high = k
			}
		}
		if low == s.First {
			continue // a damaged sequence: its first row is not its lowest
		}
		return low - 1, true
	}
	return 0, false
}

// counts returns the row that counts where row i is the last one at or below an
// address.
func (t *Table) counts(i int) int {
	for i > 0 && t.Rows[i].Flags&Continues != 0 {
		i-- // the first row of a sequence does not continue one
	}
	if t.Rows[i].Line == 0 {
		return i
	}
	for k := i; k >= 0 && t.Rows[k].Addr == t.Rows[i].Addr && t.Rows[k].Line != 0 && t.Rows[k].Flags&EndSequence == 0; k-- {
		if t.Rows[k].Flags&(IsStmt|Continues) == IsStmt {
			return k
		}
	}
	return i
}

// Span returns the code that row i, one that Find gave, stands for: from the
// address of row first, which is i or what it continues, up to end.
func (t *Table) Span(i int) (first int, end uint64) {
	first = i
	if t.Rows[i].Flags&Continues != 0 {
		first = t.counts(i)
	}
	next := i + 1
	for r := &t.Rows[next]; r.Flags&EndSequence == 0 && (r.Addr == t.Rows[first].Addr || r.Flags&Continues != 0); r = &t.Rows[next] {
		next++
	}
	return first, t.Rows[next].Addr
}
