package tracebuf

import "testing"

// pairAll runs every record through p.
func pairAll(t *testing.T, p *Pairer, s *sample, b []byte) []Span {
	t.Helper()
	var spans []Span
	sc := NewScanner(b, s.defs, 0)
	for sc.Scan() {
		if sp, ok := p.Add(sc.Record()); ok {
			sp.Enter, sp.Leave = sp.Enter.Clone(), sp.Leave.Clone()
			spans = append(spans, sp)
		}
	}
	return spans
}

func TestPairNested(t *testing.T) {
	s := newSample(t, 8)
	var b []byte
	b = record(b, s.openRet, 0, 5, 0) // its begin is before the buffer
	b = record(b, s.open, 0, 10, "outer", 1, 1)
	b = record(b, s.open, 0, 20, "inner", 1, 1)
	b = record(b, s.none, 0, 25)
	b = record(b, s.openErr, 0, 30, -2)
	b = record(b, s.openRet, 0, 60, 3)
	b = record(b, s.open, 0, 70, "never ends", 1, 1)
	p := NewPairer(s.defs, nil)
	spans := pairAll(t, p, s, b)
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	inner, outer := spans[0], spans[1]
	if inner.Name != "vfs_open" || !inner.Failed || inner.Duration() != 10 || inner.Enter.String(0) != "inner" || inner.Leave.Int(0) != -2 || inner.Parent != outer.ID {
		t.Errorf("inner %+v", inner)
	}
	if outer.Failed || outer.Duration() != 50 || outer.Enter.String(0) != "outer" || outer.Parent != 0 || outer.Ambiguous {
		t.Errorf("outer %+v", outer)
	}
	un, more := p.Unmatched()
	if len(un) != 2 || more != 0 || un[0].Open || un[0].Record.Time != 5 || !un[1].Open || un[1].Record.String(0) != "never ends" {
		t.Errorf("unmatched %+v", un)
	}
}

// With a scheduler's tracepoint, calls of two threads that overlap are told
// apart; without one the doubt is told.
func TestPairThreads(t *testing.T) {
	s := newSample(t, 8)
	var b []byte
	b = record(b, s.sw, 0, 1, "idle", "A")
	b = record(b, s.open, 0, 10, "a", 1, 1)
	b = record(b, s.sw, 0, 11, "A", "B")
	b = record(b, s.open, 0, 20, "b", 1, 1)
	b = record(b, s.sw, 0, 21, "B", "A")
	b = record(b, s.openRet, 0, 30, 0)
	b = record(b, s.sw, 0, 31, "A", "B")
	b = record(b, s.openRet, 0, 50, 0)

	p := NewPairer(s.defs, &Switch{Name: "sched_switch", From: -1, To: 1})
	spans := pairAll(t, p, s, b)
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	for i, want := range []struct {
		thread, path string
		ns           uint64
	}{{"A", "a", 20}, {"B", "b", 30}} {
		if sp := spans[i]; sp.Thread != want.thread || sp.Enter.String(0) != want.path || sp.Duration() != want.ns || sp.Ambiguous || sp.Parent != 0 {
			t.Errorf("span %d: %+v", i, sp)
		}
	}
	if p.Thread() != "B" {
		t.Errorf("thread %q", p.Thread())
	}

	p = NewPairer(s.defs, nil)
	// Same name: without threads the ends go to the wrong begins, and nothing
	// can tell; but a different name in between shows the doubt.
	var c []byte
	c = record(c, s.open, 0, 10, "a", 1, 1)
	c = record(c, s.plain, 0, 20, 1, "", "", 1, 1)
	c = record(c, s.openRet, 0, 30, 0)
	if spans := pairAll(t, p, s, c); len(spans) != 1 || spans[0].Ambiguous {
		t.Errorf("%+v", spans)
	}
}

// On one thread, what began later and did not end is lost when the outer ends.
func TestPairLost(t *testing.T) {
	x := &testDef{name: "x"}
	xr := &testDef{name: "x_ret"}
	y := &testDef{name: "y"}
	yr := &testDef{name: "y_ret"}
	sw := &testDef{name: "switch", args: []Arg{i8}}
	lone := &testDef{name: "z_ret"} // no z: not an end
	sec := section(0x1000, 8, x, xr, y, yr, sw, lone)
	defs, err := ParseDefinitions(sec)
	if err != nil {
		t.Fatal(err)
	}
	s := &sample{defs: defs}
	var b []byte
	b = record(b, sw, 0, 1, 0x5000)
	b = record(b, x, 0, 2)
	b = record(b, y, 0, 3)
	b = record(b, xr, 0, 4)
	b = record(b, yr, 0, 5)
	b = record(b, lone, 0, 6)
	p := NewPairer(defs, &Switch{Name: "switch", From: -1, To: 0, NameOf: func(uint64) string { return "t" }})
	if spans := pairAll(t, p, s, b); len(spans) != 1 || spans[0].Name != "x" {
		t.Fatalf("%+v", spans)
	}
	if un, _ := p.Unmatched(); len(un) != 2 {
		t.Errorf("unmatched %+v", un)
	}
	// Without threads y may be another thread's: it stays open and both pair.
	p = NewPairer(defs, nil)
	spans := pairAll(t, p, s, b)
	if len(spans) != 2 || !spans[0].Ambiguous || spans[1].Ambiguous {
		t.Fatalf("%+v", spans)
	}
	if !p.Instant(defs.ByName("z_ret")) || p.Instant(defs.ByName("x")) || p.Instant(defs.ByName("x_ret")) {
		t.Error("Instant does not follow the names")
	}
	// Begins without end do not grow without bound.
	b = b[:0]
	for i := range maxOpen + 10 {
		b = record(b, x, 0, uint64(i))
	}
	p = NewPairer(defs, nil)
	pairAll(t, p, s, b)
	if un, more := p.Unmatched(); len(un)+more != maxOpen+10 || len(p.threads.list[0].stack) > maxOpen {
		t.Errorf("%d + %d unmatched", len(un), more)
	}
}

// Two CPUs share the buffer and records name none: the idle one does not
// disturb, and where both are busy what is certain is told apart from what is not.
func TestPairCPUs(t *testing.T) {
	s := newSample(t, 8)
	pairer := func() *Pairer {
		return NewPairer(s.defs, &Switch{Name: "sched_switch", From: 0, To: 1})
	}
	var b []byte
	b = record(b, s.sw, 0, 1, "idle", "A")
	b = record(b, s.open, 0, 10, "a", 1, 1)
	b = record(b, s.sw, 0, 11, "X", "idle") // the other CPU
	b = record(b, s.openRet, 0, 30, 0)
	spans := pairAll(t, pairer(), s, b)
	if len(spans) != 1 || spans[0].Thread != "A" || spans[0].Ambiguous {
		t.Fatalf("%+v", spans)
	}
	// B becomes busy on the other CPU while A is inside: only A can end it.
	b = b[:0]
	b = record(b, s.sw, 0, 1, "idle", "A")
	b = record(b, s.open, 0, 10, "a", 1, 1)
	b = record(b, s.sw, 0, 11, "idle", "B")
	b = record(b, s.openRet, 0, 30, 0)
	b = record(b, s.open, 0, 40, "whose?", 1, 1)
	b = record(b, s.openRet, 0, 50, 0)
	p := pairer()
	spans = pairAll(t, p, s, b)
	if len(spans) != 2 || spans[0].Thread != "A" || spans[0].Ambiguous || !spans[1].Ambiguous {
		t.Fatalf("%+v", spans)
	}
	if un, more := p.Unmatched(); len(un)+more != 0 {
		t.Errorf("%+v", un)
	}
}
