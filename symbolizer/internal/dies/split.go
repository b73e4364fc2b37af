package dies

import (
	"errors"
	"fmt"
	"sync"
)

// SplitName says which .dwo file a skeleton unit wants (DWARF 5, section 3.1.2).
type SplitName struct {
	// Name is DW_AT_dwo_name, Dir the folder it is relative to.
	Name, Dir string
	// ID is the number that the .dwo file has to have too.
	ID uint64
	// Version is the DWARF version of the skeleton: before 5 split units are an
	// extension of GNU's with tables of its own.
	Version int
}

// MissingSplitError says that the .dwo file of a unit could not be had, so that
// its functions, inlined calls and types are not known.
type MissingSplitError struct {
	// Name is the file the unit names.
	Name string
	Err  error
}

func (e *MissingSplitError) Error() string {
	return fmt.Sprintf("no split debug information %q: %v", e.Name, e.Err)
}

func (e *MissingSplitError) Unwrap() error { return e.Err }

var (
	errNoSplit    = errors.New("nothing was to look for it")
	errOtherSplit = errors.New("it holds no unit of that number")
)

// maxSplit bounds how many .dwo files are open at once, as the number of one has
// to fit in an offset.
const maxSplit = 1<<16 - 16

// split is what a skeleton unit opens, once.
type split struct {
	once sync.Once
	full *Unit
	err  error
}

// Full returns the unit with the entries: of a skeleton the one in its .dwo
// file, else the unit itself. The error is a *MissingSplitError, or tells why the
// unit cannot be read.
func (u *Unit) Full() (*Unit, error) {
	if err := u.load(); err != nil {
		return nil, err
	}
	if u.info.Split == "" || u.src.skeleton != nil {
		return u, nil
	}
	u.split.once.Do(func() {
		if u.split.full, u.split.err = u.openSplit(); u.split.err != nil {
			u.split.err = &MissingSplitError{u.info.Split, u.split.err}
		}
	})
	return u.split.full, u.split.err
}

func (u *Unit) openSplit() (*Unit, error) {
	main := u.src.sec
	if main.Split == nil {
		return nil, errNoSplit
	}
	sec, err := main.Split(SplitName{u.info.Split, u.info.CompDir, u.Signature, u.format.version})
	if err != nil {
		return nil, err
	}
	units, err := u.d.addSplit(sec, u)
	if err != nil {
		return nil, err
	}
	for _, one := range units {
		if one.TypeOff == 0 && one.load() == nil && one.Signature == u.Signature {
			return one, nil
		}
	}
	return nil, errOtherSplit
}

// HasSplit reports whether a unit was seen that wants a .dwo file.
func (d *Data) HasSplit() bool { return d.hasSplit.Load() }

// FullUnits lists all units with their entries, which opens all .dwo files: for
// what has to look everywhere. A skeleton whose file is missing stands for itself.
func (d *Data) FullUnits() []*Unit {
	units, _ := d.Units()
	out := make([]*Unit, 0, len(units))
	for _, u := range units {
		if full, err := u.Full(); err == nil {
			u = full
		}
		out = append(out, u)
	}
	d.mu.Lock()
	split := len(d.sources) > len(d.whole)
	d.mu.Unlock()
	if !split {
		return out
	}
	if list := d.whole[0].sec.SplitTypes; list != nil {
		for _, sig := range list() {
			d.splitType(sig)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, src := range d.sources[len(d.whole):] {
		for _, u := range src.units {
			if u.TypeOff != 0 {
				out = append(out, u)
			}
		}
	}
	return out
}

// addSplit makes the units of a .dwo file known, which completes skeleton.
func (d *Data) addSplit(sec *Sections, skeleton *Unit) ([]*Unit, error) {
	// What stayed in the image.
	main := skeleton.src.sec
	sec.Addr, sec.LineStr, sec.BigEndian = main.Addr, main.LineStr, main.BigEndian
	if skeleton.format.version < 5 {
		sec.Ranges = main.Ranges
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.sources) >= maxSplit {
		return nil, errors.New("too many files of split debug information")
	}
	var units []*Unit
	for types, info := range [][]byte{sec.Info, sec.Types} {
		if len(info) == 0 {
			continue
		}
		src := d.add(sec, info, types == 1)
		src.skeleton = skeleton
		for off := src.base; off < src.base+uint64(len(src.info)); {
			one, err := d.unitAt(off)
			if one == nil {
				break
			}
			if err == nil {
				src.units = append(src.units, one)
				if one.TypeOff != 0 {
					d.splitTypes[one.Signature] = one
				}
			}
			off = one.End
		}
		units = append(units, src.units...)
	}
	return units, nil
}

// takeSkeleton takes over what of the bases is told by the skeleton alone (DWARF
// 5, section 3.1.3).
func (u *Unit) takeSkeleton(s *Unit) {
	u.base.addr, u.base.low = s.base.addr, s.base.low
	if u.format.version < 5 {
		u.base.ranges = s.base.split
	}
}

// HoldsSplit reports why sections are not those of the .dwo file that is wanted,
// nil if they are.
func HoldsSplit(sec Sections, want SplitName) error {
	d := New(sec)
	units, err := d.Units()
	for _, u := range units {
		if u.TypeOff == 0 && u.load() == nil && u.Signature == want.ID {
			return nil
		}
	}
	if len(units) == 0 && err != nil {
		return err
	}
	return errOtherSplit
}

// splitUnits lists the units of the .dwo file that offset off is in, nil if it
// is in none.
func (d *Data) splitUnits(off uint64) []*Unit {
	if off>>sourceShift < uint64(len(d.whole)) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if src := d.sourceOf(off); src != nil {
		return src.units
	}
	return nil
}

// typeBySignature returns the entry of the type that a type unit holds. Those of
// .dwo files are known once the file is open.
func (d *Data) typeBySignature(sig uint64) (uint64, bool) {
	_, _ = d.Units() // what could be read of them tells the signatures
	u := d.types[sig]
	if u == nil {
		u = d.splitType(sig)
	}
	if u == nil {
		return 0, false
	}
	return u.TypeOff, true
}

// splitType finds a type unit in the .dwo files that are open, or in the package
// file one of them is a part of.
func (d *Data) splitType(sig uint64) *Unit {
	d.mu.Lock()
	u, seen := d.splitTypes[sig]
	var skeleton *Unit
	if len(d.sources) > len(d.whole) {
		skeleton = d.sources[len(d.whole)].skeleton
	}
	d.mu.Unlock()
	if seen || skeleton == nil || skeleton.src.sec.SplitType == nil {
		return u
	}
	if sec := skeleton.src.sec.SplitType(sig); sec != nil {
		// Without it the type is not known, which its reader tells.
		_, _ = d.addSplit(sec, skeleton)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	u = d.splitTypes[sig]
	d.splitTypes[sig] = u // nil: not to be asked for again
	return u
}

// LineSections returns the sections that the unit's line program is in: those of
// the image for a split unit.
func (u *Unit) LineSections() (line, lineStr, str []byte) {
	sec := u.src.sec
	if u.src.skeleton != nil && u.TypeOff == 0 {
		sec = u.src.skeleton.src.sec
	}
	return sec.Line, sec.LineStr, sec.Str
}
