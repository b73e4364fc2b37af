package dies

import (
	"errors"
	"slices"
	"testing"
)

// TestMissingAddress reads lists that name an address by an index out of
// .debug_addr: what stands before it holds, and nothing is made of the rest.
func TestMissingAddress(t *testing.T) {
	addr := []byte{0, 0x10, 0, 0, 0, 0, 0, 0} // one entry, 0x1000
	unit := func(version int, sec Sections) *Unit {
		sec.Addr = addr
		u := &Unit{src: &source{sec: &sec}}
		u.format.version, u.format.addrSize, u.format.offSize = version, 8, 4
		return u
	}
	for name, list := range map[string][]byte{
		"startx_length": {rleStartxLength, 0, 16, rleStartxLength, 9, 16, rleStartxLength, 0, 32, rleEnd},
		"startx_endx":   {rleStartxLength, 0, 16, rleStartxEndx, 0, 9, rleStartxLength, 0, 32, rleEnd},
		"base_addressx": {rleStartxLength, 0, 16, rleBaseAddressx, 9, rleOffsetPair, 0, 64, rleEnd},
	} {
		got := unit(5, Sections{Rnglists: list}).rangesOf(pcs{hasList: true}, nil, &budget{10, 10})
		if want := []Range{{0x1000, 0x1010}}; !slices.Equal(got, want) {
			t.Errorf("ranges, %s: %#x, want %#x", name, got, want)
		}
	}
	const op = 0x50 // an expression of one byte
	for name, list := range map[string][]byte{
		"startx_length": {3, 0, 16, 1, op, 3, 9, 16, 1, op, 0},
		"startx_endx":   {3, 0, 16, 1, op, 2, 9, 0, 1, op, 0},
		"base_addressx": {3, 0, 16, 1, op, 1, 9, 4, 0, 64, 1, op, 0},
	} {
		got, err := unit(5, Sections{Loclists: func() []byte { return list }}).locList5(&Attr{})
		damaged(t, "loclists, "+name, got, err)
	}
	for name, list := range map[string][]byte{
		"start_length": {3, 0, 16, 0, 0, 0, 1, 0, op, 3, 9, 16, 0, 0, 0, 1, 0, op, 0},
		"base_address": {3, 0, 16, 0, 0, 0, 1, 0, op, 1, 9, 4, 0, 0, 0, 0, 64, 0, 0, 0, 1, 0, op, 0},
	} {
		got, err := unit(4, Sections{Loc: func() []byte { return list }}).locListSplit(0)
		damaged(t, "loc.dwo, "+name, got, err)
	}
}

// damaged wants the one entry before what is missing, and an error.
func damaged(t *testing.T, name string, got []Location, err error) {
	t.Helper()
	var format *FormatError
	if !errors.As(err, &format) || len(got) != 1 || got[0].Low != 0x1000 || got[0].High != 0x1010 {
		t.Errorf("%s: %+v, %v", name, got, err)
	}
}
