package dies

import (
	"cmp"
	"debug/dwarf"
)

// Attributes and tags that debug/dwarf has no name for.
const (
	atMIPSLinkageName dwarf.Attr = 0x2007
	atGNUDwoName      dwarf.Attr = 0x2130
	atGNUDwoID        dwarf.Attr = 0x2131
	atGNURangesBase   dwarf.Attr = 0x2132
	atGNUAddrBase     dwarf.Attr = 0x2133

	tagSkeleton dwarf.Tag = 0x4a
)

// bases are the attributes of the unit's entry that resolve indices, and the base
// of its address ranges.
type bases struct {
	strOffsets, addr, rnglists, loclists uint64
	low                                  uint64
	// ranges is what offsets in .debug_ranges count from in a split unit of
	// version 4.
	ranges uint64
	// split is the same in the skeleton, which does not use it itself.
	split uint64
}

// Info is what a unit's own entry tells of it.
type Info struct {
	Tag dwarf.Tag
	// Name, CompDir and Producer are DW_AT_name, DW_AT_comp_dir and
	// DW_AT_producer, "" if absent.
	Name, CompDir, Producer string
	// Language is DW_AT_language, 0 if absent.
	Language uint64
	// Lines is the offset of its line program, if HasLines.
	Lines    uint64
	HasLines bool
	// Split is the name of the .dwo file that holds the rest, "" if none.
	Split string
}

// load reads the unit's abbreviations and its own entry, once.
func (u *Unit) load() error {
	u.once.Do(func() { u.err = u.readRoot() })
	return u.err
}

func (u *Unit) readRoot() (err error) {
	if u.abbrevs, err = u.d.table(abbrevKey{u.src.sec, u.abbrevOff, u.format}); err != nil {
		return err
	}
	// Without a base attribute the first table of the section is meant, which
	// starts behind a header (DWARF 5, sections 7.26 to 7.29).
	if u.format.version >= 5 {
		n := uint64(u.format.offSize)
		u.base = bases{strOffsets: 2 * n, addr: 2 * n, rnglists: 2*n + 4, loclists: 2*n + 4}
	}
	var root Entry
	if err := u.read(&root, u.First, nil); err != nil {
		return err
	}
	if root.Tag == 0 {
		return infoError(u.First, "the unit has no entry")
	}
	for i := range root.Attrs {
		switch a := &root.Attrs[i]; a.Attr {
		case dwarf.AttrStrOffsetsBase:
			u.base.strOffsets = a.U
		case dwarf.AttrAddrBase, atGNUAddrBase:
			u.base.addr = a.U
		case dwarf.AttrRnglistsBase:
			u.base.rnglists = a.U
		case dwarf.AttrLoclistsBase:
			u.base.loclists = a.U
		case atGNURangesBase:
			u.base.split = a.U
		case atGNUDwoID:
			u.Signature = a.U
		}
	}
	u.root = root
	u.info.Tag = root.Tag
	if u.src.skeleton != nil {
		u.takeSkeleton(u.src.skeleton)
	}
	for i := range root.Attrs {
		switch a := &root.Attrs[i]; a.Attr {
		case dwarf.AttrName:
			u.info.Name = string(u.str(a))
		case dwarf.AttrCompDir:
			u.info.CompDir = string(u.str(a))
		case dwarf.AttrProducer:
			u.info.Producer = string(u.str(a))
		case dwarf.AttrLanguage:
			u.info.Language = a.U
		case dwarf.AttrStmtList:
			u.info.Lines, u.info.HasLines = a.U, true
		case dwarf.AttrDwoName, atGNUDwoName:
			if u.info.Split = string(u.str(a)); u.src.skeleton == nil {
				u.d.hasSplit.Store(true)
			}
		case dwarf.AttrLowpc:
			u.base.low, _ = u.addr(a)
		}
	}
	if s := u.src.skeleton; s != nil && u.TypeOff == 0 {
		u.info.Lines, u.info.HasLines = s.info.Lines, s.info.HasLines
		u.info.CompDir, u.info.Name = s.info.CompDir, cmp.Or(s.info.Name, u.info.Name)
	}
	return nil
}

// Info returns what the unit's own entry tells; of a damaged unit nothing.
func (u *Unit) Info() *Info {
	if u.load() != nil {
		return &Info{}
	}
	return &u.info
}

// Root returns the unit's own entry.
func (d *Data) Root(u *Unit) (*Entry, error) {
	if err := u.load(); err != nil {
		return nil, err
	}
	return &u.root, nil
}

// LowPC is the base address of the unit, 0 if it has none.
func (u *Unit) LowPC() uint64 {
	_ = u.load() // of a damaged unit it is 0
	return u.base.low
}
