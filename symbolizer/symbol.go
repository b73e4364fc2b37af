package symbolizer

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/ukdbg/ukdbg/target/arch"
)

// Symbol is one symbol of the image.
type Symbol struct {
	// Name is the name in the symbol table, not demangled.
	Name string
	// Addr is the link-time address and Size the size in bytes, 0 if the
	// symbol tells none (labels in assembly).
	Addr, Size uint64
	Type       elf.SymType
	Bind       elf.SymBind
}

// symbolTable holds the symbols by address and by name.
type symbolTable struct {
	strs []byte
	syms []symEntry // by address, the preferred of equal ones last

	nameOnce sync.Once
	byName   []int32 // indices into syms, by name, for prefixes

	hashOnce sync.Once
	first    []int32 // by hash of the name: 1 + index of the first symbol
	next     []int32 // by index: 1 + that of the next of the same hash
}

// symEntry is a symbol without its name, which is cut out of the string table
// when asked for.
type symEntry struct {
	addr, size uint64
	name       uint32
	info       uint8
	code       bool
}

func (e *symEntry) typ() elf.SymType { return elf.SymType(e.info & 15) }

const symSize = 24

// symbolSection returns .symtab, or .dynsym where there is none.
func (im *Image) symbolSection() *Section {
	var dyn *Section
	for i := range im.sections {
		switch s := &im.sections[i]; s.Type {
		case elf.SHT_SYMTAB:
			if s.raw.length() > symSize {
				return s
			}
		case elf.SHT_DYNSYM:
			dyn = s
		}
	}
	return dyn
}

func (im *Image) hasSymbols() bool {
	s := im.symbolSide().symbolSection()
	return s != nil && s.raw.length() > symSize
}

// symbols reads the symbol table, once.
func (im *Image) symbols() *symbolTable {
	im.symbolOnce.Do(func() {
		im.symbolSide().readSymbols(&im.symtab, 0, ^uint64(0))
		im.symbolsRead.Store(true)
	})
	return &im.symtab
}

// Ordering the whole table takes longer than many a process has to do: the first
// lookups by address go through the table as it is.
const (
	fewLookups  = 4
	manySymbols = 1 << 11 // fewer are ordered at once
	lookBytes   = 64 << 10
)

// symbolsBelow returns a table that answers for addr as the whole one would: it
// has the lookBack symbols before it, or all down to start.
func (im *Image) symbolsBelow(start, addr uint64) *symbolTable {
	if im.symbolsRead.Load() {
		return &im.symtab
	}
	side := im.symbolSide()
	sec := side.symbolSection()
	if sec == nil || sec.raw.length() < manySymbols*symSize || im.lookups.Add(1) > fewLookups {
		return im.symbols()
	}
	for window := uint64(lookBytes); ; window *= 16 {
		from := start
		if addr-start > window {
			from = addr - window
		}
		t := &symbolTable{}
		side.readSymbols(t, from, addr)
		if from == start || len(t.syms) >= lookBack {
			return t
		}
	}
}

// readSymbols reads the symbols from address low to high.
func (im *Image) readSymbols(t *symbolTable, low, high uint64) {
	sec := im.symbolSection()
	if sec == nil || uint64(sec.link) >= uint64(len(im.sections)) {
		return
	}
	t.strs = im.sections[sec.link].raw.bytes()
	raw := sec.raw.bytes()
	if low == 0 {
		t.syms = make([]symEntry, 0, len(raw)/symSize)
	}
	for off := symSize; off+symSize <= len(raw); off += symSize {
		// Looking for few of many, most of the time is spent on the others.
		if !im.bigEndian {
			if addr := binary.LittleEndian.Uint64(raw[off+8:]); addr < low || addr > high {
				continue
			}
		}
		r := im.numbers(raw, uint64(off))
		e := symEntry{name: r.U32(), info: r.U8()}
		r.Skip(1)
		shndx := elf.SectionIndex(r.U16())
		e.addr, e.size = r.U64(), r.U64()
		if shndx == elf.SHN_UNDEF || e.addr < low || e.addr > high || !im.wanted(&e, t.strs) {
			continue
		}
		if int(shndx) < len(im.sections) {
			s := &im.sections[shndx]
			if !s.Alloc() {
				continue
			}
			e.code = s.Code()
		}
		t.syms = append(t.syms, e)
	}
	// Equal addresses: functions and objects over labels, then global over
	// weak over local, then the bigger, then the shorter name as a person
	// would choose (memcpy over __memcpy_alias).
	slices.SortFunc(t.syms, func(a, b symEntry) int {
		if c := cmp.Compare(a.addr, b.addr); c != 0 {
			return c
		}
		if c := cmp.Compare(rank(a), rank(b)); c != 0 {
			return c
		}
		if c := cmp.Compare(a.size, b.size); c != 0 {
			return c
		}
		return cmp.Compare(b.name, a.name)
	})
}

// sortNames makes the index of prefixes, once; other lookups do without.
func (t *symbolTable) sortNames() {
	t.byName = make([]int32, len(t.syms))
	for i := range t.byName {
		t.byName[i] = int32(i)
	}
	slices.SortFunc(t.byName, func(a, b int32) int {
		if c := strings.Compare(t.name(int(a)), t.name(int(b))); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
}

// wanted tells symbols that name something in memory: no files and sections, no
// thread-local offsets, and none of the mapping symbols of arm64, $x and $d
// (ELF for the Arm 64-bit Architecture, section 5.5.5).
func (im *Image) wanted(e *symEntry, strs []byte) bool {
	switch e.typ() {
	case elf.STT_SECTION, elf.STT_FILE, elf.STT_TLS:
		return false
	}
	name := cstring(strs, uint64(e.name))
	if len(name) == 0 {
		return false
	}
	if im.arch == arch.ARM64 && name[0] == '$' && len(name) >= 2 && (len(name) == 2 || name[2] == '.') {
		return name[1] != 'x' && name[1] != 'd'
	}
	return true
}

func rank(e symEntry) int {
	r := 0
	switch e.typ() {
	case elf.STT_FUNC, elf.STT_OBJECT, elf.STT_GNU_IFUNC:
		r = 10
	}
	switch elf.SymBind(e.info >> 4) {
	case elf.STB_GLOBAL:
		r += 2
	case elf.STB_WEAK:
		r++
	}
	return r
}

func (t *symbolTable) name(i int) string { return string(t.nameBytes(i)) }

func (t *symbolTable) nameBytes(i int) []byte { return cstring(t.strs, uint64(t.syms[i].name)) }

func (t *symbolTable) symbol(i int) Symbol {
	e := &t.syms[i]
	return Symbol{t.name(i), e.addr, e.size, e.typ(), elf.SymBind(e.info >> 4)}
}

// Symbol returns the symbol addr belongs to: the nearest at or below it whose
// size covers it or that tells no size, in the same section. ok is false if
// there is none.
func (im *Image) Symbol(addr uint64) (sym Symbol, ok bool) {
	t, i, _ := im.symbolAt(addr)
	if i < 0 {
		return Symbol{}, false
	}
	return t.symbol(i), true
}

// StartsFunction reports whether a function of the symbol table starts at the
// link-time address addr. It allocates nothing.
func (im *Image) StartsFunction(addr uint64) bool {
	t, i, _ := im.symbolAt(addr)
	if i < 0 {
		return false
	}
	e := &t.syms[i]
	return e.addr == addr && e.typ() == elf.STT_FUNC
}

// lookBack bounds how many symbols below an address are tried; symbols nest
// seldom and not deep (a label inside a function).
const lookBack = 64

// symbolAt returns a table of symbols and in it the index of the one addr belongs
// to, or -1 and the index of the nearest one below that ends too early, or -1.
func (im *Image) symbolAt(addr uint64) (t *symbolTable, index, near int) {
	sec := im.sectionAt(addr)
	if sec == nil {
		return nil, -1, -1
	}
	t = im.symbolsBelow(sec.Addr, addr)
	end := sort.Search(len(t.syms), func(i int) bool { return t.syms[i].addr > addr })
	near, label := -1, -1
	for i := end - 1; i >= 0 && i >= end-lookBack; i-- {
		e := &t.syms[i]
		if e.addr < sec.Addr {
			break
		}
		if e.code != sec.Code() {
			continue // an absolute symbol
		}
		first := near < 0
		if first {
			near = i
		}
		switch {
		case e.size == 0:
			// A label names what follows it, up to the next symbol with a size.
			if first {
				label = i
			}
		case addr-e.addr < e.size:
			return t, i, i
		}
	}
	if label >= 0 {
		return t, label, near
	}
	return t, -1, near
}

// SymbolByName returns the symbol called name. Of several, a global one is
// preferred, then the one at the lowest address.
func (im *Image) SymbolByName(name string) (Symbol, bool) {
	all := im.SymbolsByName(name)
	if len(all) == 0 {
		return Symbol{}, false
	}
	for _, s := range all {
		if s.Bind == elf.STB_GLOBAL {
			return s, true
		}
	}
	return all[0], true
}

// SymbolsByName returns all symbols called name, by address: statics of several
// files may share one.
func (im *Image) SymbolsByName(name string) []Symbol {
	t := im.symbols()
	t.hashOnce.Do(t.hashNames)
	if len(t.first) == 0 {
		return nil
	}
	var out []Symbol
	for k := t.first[nameHash([]byte(name))&uint32(len(t.first)-1)]; k != 0; k = t.next[k-1] {
		if t.name(int(k-1)) == name {
			out = append(out, t.symbol(int(k-1)))
		}
	}
	return out
}

// hashNames makes the index of whole names. Sorting them, which prefixes need,
// takes many times as long.
func (t *symbolTable) hashNames() {
	if len(t.syms) == 0 {
		return
	}
	n := 1
	for n < len(t.syms) {
		n *= 2
	}
	t.first, t.next = make([]int32, n), make([]int32, len(t.syms))
	// From the end, so that each chain is in order of address.
	for i := len(t.syms) - 1; i >= 0; i-- {
		h := nameHash(cstring(t.strs, uint64(t.syms[i].name))) & uint32(n-1)
		t.next[i], t.first[h] = t.first[h], int32(i+1)
	}
}

// nameHash is FNV-1a. An image made to collide costs time linear in its symbols
// for each name, no more.
func nameHash(name []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range name {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// SymbolsByPrefix returns the symbols whose names start with prefix, by name;
// "" gives all.
func (im *Image) SymbolsByPrefix(prefix string) []Symbol {
	t := im.symbols()
	var out []Symbol
	for k := t.lowerBound(prefix); k < len(t.byName); k++ {
		s := t.symbol(int(t.byName[k]))
		if !strings.HasPrefix(s.Name, prefix) {
			break
		}
		out = append(out, s)
	}
	return out
}

func (t *symbolTable) lowerBound(name string) int {
	t.nameOnce.Do(t.sortNames)
	return sort.Search(len(t.byName), func(k int) bool { return t.name(int(t.byName[k])) >= name })
}
