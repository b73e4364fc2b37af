package tracebuf

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// collect scans data and returns the texts of good records and the problems.
func collect(data []byte, defs *Definitions, slide uint64) (texts []string, bad []Record, stats Stats) {
	s := NewScanner(data, defs, slide)
	at := 0
	for s.Scan() {
		r := s.Record()
		if r.Offset != at || r.Size <= 0 {
			panic("records do not cover the data")
		}
		at += r.Size
		if r.Problem == Good {
			texts = append(texts, r.Text())
		} else {
			bad = append(bad, r.Clone())
		}
	}
	if at != len(data) {
		panic("records do not cover the data")
	}
	return texts, bad, s.Stats()
}

func TestScan(t *testing.T) {
	s := newSample(t, 32)
	for _, slide := range []uint64{0, 0x200000, ^uint64(0xfffff)} {
		var b []byte
		b = record(b, s.open, slide, 100, "/etc/x", 0x241, 0o644)
		b = record(b, s.openRet, slide, 250, -3)
		b = record(b, s.plain, slide, 300, -1, "", "ab", 0xdeadbeef, 0x1000)
		b = record(b, s.none, slide, 301)
		texts, bad, st := collect(b, s.defs, slide)
		want := []string{`"/etc/x" 0x241 0644`, "-3", "-1 |ab      |0xdeadbeef 0x1000", "nothing %"}
		if len(bad) != 0 || len(texts) != len(want) {
			t.Fatalf("slide %#x: %q, bad %v", slide, texts, bad)
		}
		for i := range want {
			if texts[i] != want[i] {
				t.Errorf("slide %#x: record %d is %q, want %q", slide, i, texts[i], want[i])
			}
		}
		if st.Records != 4 || st.First != 100 || st.Last != 301 || st.Backwards != 0 {
			t.Errorf("stats %+v", st)
		}
		if got, ok := InferSlide(b, s.defs); !ok || got != slide {
			t.Errorf("inferred slide %#x, %v; want %#x", got, ok, slide)
		}
	}
}

func TestAccessors(t *testing.T) {
	s := newSample(t, 8)
	b := record(nil, s.plain, 0, 7, -2, "one", "three", -5, 1)
	sc := NewScanner(b, s.defs, 0)
	if !sc.Scan() {
		t.Fatal("no record")
	}
	r := sc.Record()
	if r.Int(0) != -2 || r.Uint(0) != 254 || r.String(1) != "one" || r.String(2) != "three" || r.Int(3) != -5 || r.Uint(4) != 1 {
		t.Fatalf("%d %d %q %q %d %d", r.Int(0), r.Uint(0), r.String(1), r.String(2), r.Int(3), r.Uint(4))
	}
	// What is not there is empty, never a panic.
	if r.Int(1) != 0 || r.String(0) != "" || r.Int(9) != 0 || r.Uint(-1) != 0 || r.Bytes(5) != nil {
		t.Fatal("an argument that is not there has a value")
	}
	if !r.Signed(0) || r.Signed(3) || r.Signed(17) {
		t.Fatal("Signed does not follow the format")
	}
	var none Record
	if none.Int(0) != 0 || none.String(0) != "" || none.Text() != "" {
		t.Fatal("the zero record has arguments")
	}
}

// Whatever is broken, the good records around it survive and the damage is
// told with its place.
func TestScanBad(t *testing.T) {
	s := newSample(t, 8)
	three := func() (b []byte, mid, end int) {
		b = record(b, s.openRet, 0, 10, 1)
		mid = len(b)
		b = record(b, s.open, 0, 20, "a name", 2, 3)
		end = len(b)
		return record(b, s.openRet, 0, 30, 3), mid, end
	}
	full, mid, end := three()
	for _, c := range []struct {
		name      string
		change    func(b []byte) []byte
		good      int
		problem   Problem
		off, size int
	}{
		{"magic", func(b []byte) []byte { b[mid] = 'x'; return b }, 2, BadMagic, mid, end - mid},
		{"zero magic inside", func(b []byte) []byte { clear(b[mid : mid+4]); return b }, 2, BadMagic, mid, end - mid},
		{"cookie", func(b []byte) []byte { b[mid+16] ^= 8; return b }, 2, UnknownCookie, mid, end - mid},
		{"size small", func(b []byte) []byte { b[mid+4]--; return b }, 2, BadSize, mid, end - mid},
		{"size big", func(b []byte) []byte { b[mid+4]++; return b }, 2, BadSize, mid, end - mid},
		{"size huge", func(b []byte) []byte { binary.LittleEndian.PutUint32(b[mid+4:], 1<<32-1); return b }, 2, BadSize, mid, end - mid},
		{"string length", func(b []byte) []byte { b[mid+recordHeader] = 255; return b }, 2, BadSize, mid, end - mid},
		{"half-written", func(b []byte) []byte { clear(b[end : end+4]); return b }, 2, HalfWritten, end, len(full) - end},
		{"cut in arguments", func(b []byte) []byte { return b[:len(b)-1] }, 2, CutOff, end, len(full) - end - 1},
		{"cut in a string", func(b []byte) []byte { return b[:end-1] }, 1, CutOff, mid, end - mid - 1},
		{"cut in header", func(b []byte) []byte { return b[:end+9] }, 2, CutOff, end, 9},
		{"cut in magic", func(b []byte) []byte { return b[:end+3] }, 2, CutOff, end, 3},
		{"junk at the end", func(b []byte) []byte { return append(b, "junk"...) }, 3, BadMagic, len(full), 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, _, _ := three()
			texts, bad, st := collect(c.change(b), s.defs, 0)
			if len(texts) != c.good || len(bad) != 1 {
				t.Fatalf("good %q, bad %+v", texts, bad)
			}
			if r := bad[0]; r.Problem != c.problem || r.Offset != c.off || r.Size != c.size {
				t.Fatalf("%v at %d, %d bytes; want %v at %d, %d bytes", r.Problem, r.Offset, r.Size, c.problem, c.off, c.size)
			}
			if st.Records != c.good || st.Bad != 1 || st.Skipped != c.size || st.Half != (c.problem == HalfWritten) {
				t.Fatalf("stats %+v", st)
			}
		})
	}
}

// A string may hold the bytes of a whole record. It is neither a record when
// all is well nor when its own record is damaged.
func TestForgedRecord(t *testing.T) {
	s := newSample(t, 8)
	forged := string(record(nil, s.openRet, 0, 5, 99))
	b := record(nil, s.openRet, 0, 100, 1)
	mid := len(b)
	b = record(b, s.open, 0, 200, forged+"tail", 1, 1)
	b = record(b, s.openRet, 0, 300, 2)
	if texts, bad, _ := collect(b, s.defs, 0); len(texts) != 3 || len(bad) != 0 {
		t.Fatalf("%q %v", texts, bad)
	}
	b[mid] = 0
	texts, bad, _ := collect(b, s.defs, 0)
	if len(texts) != 2 || texts[1] != "2" || len(bad) != 1 {
		t.Fatalf("%q %v", texts, bad)
	}
}

func TestInferSlide(t *testing.T) {
	s := newSample(t, 8)
	if _, ok := InferSlide(nil, s.defs); ok {
		t.Fatal("a slide from no records")
	}
	b := record(nil, s.open, 0x123, 1, "x", 1, 1)
	if slide, ok := InferSlide(b, s.defs); ok {
		t.Fatalf("slide %#x breaks pages", slide)
	}
	// Two definitions of one shape a page apart: a lone record fits both.
	a1 := &testDef{name: "a", args: []Arg{i4}, cookie: 0x1000}
	a2 := &testDef{name: "b", args: []Arg{i4}, cookie: 0x2000}
	defs, err := ParseDefinitions(append(a1.bytes(8), a2.bytes(8)...))
	if err != nil {
		t.Fatal(err)
	}
	if slide, ok := InferSlide(record(nil, a1, 0x200000, 1, 1), defs); ok {
		t.Fatalf("slide %#x is one of two", slide)
	}
	// The other definition decides.
	if slide, ok := InferSlide(record(record(nil, a1, 0x200000, 1, 1), a2, 0x200000, 2, 1), defs); !ok || slide != 0x200000 {
		t.Fatalf("slide %#x, %v", slide, ok)
	}
}

func TestBackwards(t *testing.T) {
	s := newSample(t, 8)
	b := record(record(record(nil, s.none, 0, 9), s.none, 0, 5), s.none, 0, 6)
	if _, _, st := collect(b, s.defs, 0); st.Backwards != 1 || st.First != 9 || st.Last != 6 {
		t.Fatalf("%+v", st)
	}
}

func mixed(tb testing.TB) (*sample, []byte) {
	s := newSample(tb, 32)
	var b []byte
	for i := range 1000 {
		b = record(b, s.open, 0, uint64(i), "/var/lib/file", i, 0o644)
		b = record(b, s.openRet, 0, uint64(i), i)
		b = record(b, s.plain, 0, uint64(i), 1, "one", "two", i, i)
	}
	return s, b
}

func TestScanAllocatesNothing(t *testing.T) {
	s, b := mixed(t)
	text := make([]byte, 0, 256)
	var sum uint64
	sc := NewScanner(nil, s.defs, 0)
	n := testing.AllocsPerRun(5, func() {
		*sc = Scanner{data: b, defs: s.defs}
		for sc.Scan() {
			r := sc.Record()
			sum += r.Uint(0) + uint64(len(r.Bytes(1)))
			text = r.AppendText(text[:0])
		}
	})
	if n != 0 || sum == 0 {
		t.Fatalf("%v allocations for 3000 records", n)
	}
}

func BenchmarkScan(b *testing.B) {
	s, data := mixed(b)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		sc := NewScanner(data, s.defs, 0)
		for sc.Scan() {
		}
	}
	b.ReportMetric(float64(b.N)*3000/b.Elapsed().Seconds(), "records/s")
}

func FuzzScanner(f *testing.F) {
	s, b := mixed(f)
	f.Add(s.section, b[:400], uint64(0))
	f.Add(s.section, bytes.Replace(b[:400], []byte("TRhd"), []byte{0, 0, 0, 0}, 2), uint64(0))
	f.Add(s.section, record(nil, s.open, 0x200000, 1, "TRhd", 1, 1), uint64(0x200000))
	f.Fuzz(func(t *testing.T, section, data []byte, slide uint64) {
		if len(section)+len(data) > 1<<20 {
			return // larger than any seed needs to be
		}
		defs, err := ParseDefinitions(section)
		if err != nil {
			return
		}
		InferSlide(data, defs)
		p := NewPairer(defs, &Switch{Name: "sched_switch", From: 0, To: 1})
		sc := NewScanner(data, defs, slide)
		at := 0
		decoded := NewScanner(data, defs, slide)
		for sc.Scan() {
			r := sc.Record()
			if !decoded.Decode() || decoded.Record().Offset != at || !slices.Equal(decoded.Values(), r.Values(nil)) {
				t.Fatalf("Decode finds other values in the record at %d", at)
			}
			if r.Offset != at || r.Size <= 0 {
				t.Fatalf("record at %d with %d bytes, expected at %d", r.Offset, r.Size, at)
			}
			at += r.Size
			if r.Problem != Good {
				continue
			}
			if n := len(r.AppendText(nil)); n > (maxField+256)*256 {
				t.Fatalf("text of %d bytes", n)
			}
			if sp, ok := p.Add(r); ok && sp.Enter.Def.Name != sp.Name {
				t.Fatalf("span %s begins with %s", sp.Name, sp.Enter.Def.Name)
			}
		}
		if at != len(data) {
			t.Fatalf("stopped at %d of %d", at, len(data))
		}
		p.Unmatched()
	})
}

func FuzzDefinitions(f *testing.F) {
	f.Add(newSample(f, 8).section)
	f.Add(newSample(f, 32).section)
	f.Fuzz(func(t *testing.T, b []byte) {
		defs, err := ParseDefinitions(b)
		if err != nil {
			return
		}
		for _, d := range defs.All {
			if defs.Lookup(d.Cookie) != d {
				t.Fatalf("%q is not found by its cookie", d.Name)
			}
		}
	})
}

func FuzzKeyVals(f *testing.F) {
	f.Add([]byte("format_version = 1\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kv, _ := ParseKeyVals(b)
		_ = kv.CheckVersion()
	})
}

func FuzzFormat(f *testing.F) {
	f.Add("%-8s|%#lx %05u %c %p %% %*.*d\n", []byte("\x03abc12345678"))
	f.Fuzz(func(t *testing.T, text string, args []byte) {
		if len(text) > 254 {
			text = text[:254]
		}
		d := &Definition{Args: []Arg{st, i8, i4, i2, i1, i8}}
		d.text = compileFormat(text, d.Args)
		for _, a := range d.Args {
			d.layout(a)
		}
		d.plan()
		r := Record{Def: d, Args: args}
		if n := len(r.AppendText(nil)); n > (maxField+256)*256 {
			t.Fatalf("text of %d bytes", n)
		}
	})
}
