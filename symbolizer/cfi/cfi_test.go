package cfi_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/symbolizer/cfi"
	"github.com/ukdbg/ukdbg/target/arch"
)

func TestSignalFrame(t *testing.T) {
	table, _, _ := load(t, builds[1].make(t)) // C in .debug_frame, assembly in .eh_frame
	signals := 0
	for i := range table.Len() {
		if table.At(i).Signal {
			signals++
		}
	}
	if signals != 1 {
		t.Errorf("%d signal frames, the program has 1", signals)
	}
}

func TestSignedRA(t *testing.T) {
	table, _, _ := load(t, builds[9].make(t))
	signed, plain := 0, 0
	var row cfi.Row
	for i := range table.Len() {
		f := table.At(i)
		for pc := f.Begin; pc < f.End; pc += 4 {
			if err := table.Row(pc, &row); err != nil {
				t.Fatal(err)
			}
			if row.SignedRA() {
				signed++
			} else {
				plain++
			}
		}
	}
	if signed == 0 || plain == 0 {
		t.Errorf("%d addresses with a signed return address, %d without", signed, plain)
	}
}

func TestRowDoesNotAllocate(t *testing.T) {
	table, _, _ := load(t, builds[1].make(t))
	var row cfi.Row
	n := testing.AllocsPerRun(10, func() {
		for i := range table.Len() {
			if err := table.Row(table.At(i).End-1, &row); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRow(b *testing.B) {
	table, _, _ := load(b, builds[1].make(b))
	var row cfi.Row
	i := 0
	for b.Loop() {
		f := table.At(i)
		if err := table.Row(f.End-1, &row); err != nil {
			b.Fatal(err)
		}
		if i++; i == table.Len() {
			i = 0
		}
	}
}

type fakeContext struct{}

func (fakeContext) Reg(n int) (uint64, bool) { return uint64(1000 * n), n < 17 }
func (fakeContext) Mem(addr uint64, size int) (uint64, error) {
	if addr == 0 {
		return 0, errors.New("hole")
	}
	return addr + uint64(size), nil
}

func TestEval(t *testing.T) {
	for _, tc := range []struct {
		expr []byte
		want uint64
	}{
		// The PLT's expression: rsp + 8 + ((rip & 15) >= 11) << 3.
		{[]byte{0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22}, 7000 + 8 + 0},
		{[]byte{0x08, 200, 0x09, 200, 0x22}, 144},
		{[]byte{0x31, 0x32, 0x33, 0x17, 0x1c}, uint64(0xffffffffffffffff)}, // rot, then 1 − 2
		{[]byte{0x0a, 0, 1, 0x06}, 256 + 8},
		{[]byte{0x30, 0x28, 2, 0, 0x35, 0x96, 0x36}, 6},       // branch not taken
		{[]byte{0x31, 0x28, 1, 0, 0x35, 0x36}, 6},             // taken
		{[]byte{0x33, 0x12, 0x1e, 0x1f, 0x19}, 9},             // |−9|
		{[]byte{0x3a, 0x33, 0x1d, 0x33, 0x1b, 0x20, 0x20}, 0}, // 10 % 3 / 3
	} {
		got, err := cfi.Eval(tc.expr, 0, false, fakeContext{})
		if err != nil || got != tc.want {
			t.Errorf("% x = %d, %v; want %d", tc.expr, got, err, tc.want)
		}
	}
	for _, bad := range [][]byte{
		{}, {0x22}, {0x30, 0x06}, {0x90}, {0x2f, 0xfd, 0xff}, {0x92, 40, 0}, {0x31, 0x30, 0x1b},
		bytes.Repeat([]byte{0x31}, 100), {0x08}, {0x31, 0x94, 3},
	} {
		start := time.Now()
		if v, err := cfi.Eval(bad, 0, false, fakeContext{}); err == nil {
			t.Errorf("% x gave %d", bad, v)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("% x took %v", bad, d)
		}
	}
}

func TestDamage(t *testing.T) {
	_, _, secs := load(t, builds[5].make(t))
	good := secs[0]
	whole, err := cfi.New([]cfi.Section{good}, nil)
	if err != nil || whole.Len() < 5 {
		t.Fatal(whole.Len(), err)
	}
	for n := range good.Data {
		table, err := cfi.New([]cfi.Section{{Data: good.Data[:n]}}, nil)
		if table.Len() > whole.Len() || n%4 != 0 && err == nil {
			t.Errorf("cut to %d bytes: %d entries, %v", n, table.Len(), err)
		}
	}
}

func FuzzTable(f *testing.F) {
	for _, i := range []int{1, 3, 5, 6, 9} {
		_, _, secs := load(f, builds[i].make(f))
		for _, s := range secs {
			f.Add(s.Data, s.Addr, s.EH)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, addr uint64, eh bool) {
		if len(data) > 1<<16 {
			return
		}
		table, _ := cfi.New([]cfi.Section{{Data: data, Addr: addr, EH: eh}}, nil)
		var row cfi.Row
		for i := range min(table.Len(), 64) {
			e := table.At(i)
			for _, pc := range []uint64{e.Begin, e.Begin + (e.End-e.Begin)/2, e.End - 1} {
				if table.Row(pc, &row) != nil {
					continue
				}
				for reg := range arch.MaxRegs {
					row.Expr(row.Rule(reg))
				}
				row.Expr(row.CFA())
			}
		}
	})
}

func FuzzEval(f *testing.F) {
	f.Add([]byte{0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22})
	f.Add(binary.LittleEndian.AppendUint16([]byte{0x31, 0x2f}, 0xfffc))
	f.Fuzz(func(t *testing.T, expr []byte) {
		_, _ = cfi.Eval(expr, 1, true, fakeContext{})
	})
}
