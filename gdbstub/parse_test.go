package gdbstub

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/arch"
)

func TestStopReplies(t *testing.T) {
	for _, tc := range []struct {
		packet string
		asked  asked
		reason target.StopReason
		ok     bool
	}{
		{"T05thread:p01.01;watch:102000;", asked{}, target.StopWatch, true},
		{"T05thread:p01.01;rwatch:102000;", asked{}, target.StopWatch, true},
		{"T05awatch:102000;thread:1;", asked{}, target.StopWatch, true},
		{"T05swbreak:;thread:1;", asked{}, target.StopBreakpoint, true},
		{"T05hwbreak:;", asked{interrupt: true}, target.StopBreakpoint, true},
		{"T05thread:01;", asked{breakpoints: true}, target.StopBreakpoint, true},
		{"T05thread:01;", asked{breakpoints: true, step: true}, target.StopStep, true},
		{"T05thread:01;", asked{}, target.StopSignal, true},
		{"T05thread:01;", asked{interrupt: true}, target.StopInterrupt, true},
		{"T05thread:01;", asked{interrupt: true, exact: true, breakpoints: true}, target.StopBreakpoint, true},
		{"T02thread:01;", asked{interrupt: true}, target.StopInterrupt, true},
		{"T02thread:01;", asked{step: true}, target.StopForeign, true},
		{"S00", asked{interrupt: true}, target.StopInterrupt, true},
		{"S0b", asked{}, target.StopSignal, true},
		{"T0510:0011223344556677;thread:1", asked{step: true}, target.StopStep, true},
		{"T05", asked{step: true}, target.StopStep, true},
		{"W00", asked{}, 0, true},
		{"X09;process:1", asked{}, 0, true},
		{"S055", asked{}, 0, false},
		{"T5", asked{}, 0, false},
		{"Tracepoint", asked{}, 0, false},
		{"T05nonsense", asked{}, 0, false},
		{"T05" + strings.Repeat("a:b;", 1000), asked{}, 0, false},
		{"OK", asked{}, 0, false},
		{"00112233", asked{}, 0, false},
		{"", asked{}, 0, false},
	} {
		r, ok := parseStop([]byte(tc.packet))
		if ok != tc.ok {
			t.Errorf("%.40q is a stop reply: %v", tc.packet, ok)
		} else if ok && (r.kind == 'T' || r.kind == 'S') && r.reason(tc.asked) != tc.reason {
			t.Errorf("%q, %+v: reason %d, want %d", tc.packet, tc.asked, r.reason(tc.asked), tc.reason)
		}
	}
}

func TestThreadLists(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want string
		more bool
		ok   bool
	}{
		{"mp01.01,p01.02", "p1.1 p1.2", true, true},
		{"m1,ff", "1 ff", true, true},
		{"l", "", false, true},
		{"", "", false, false}, {"m", "", false, false}, {"m1,", "1", false, false}, {"mp1", "", false, false},
		{"m-1", "", false, false}, {"l1", "", false, false}, {"m1;2", "1", false, false},
	} {
		list, more, ok := parseThreadList(nil, []byte(tc.in))
		var names []string
		for _, l := range list {
			names = append(names, l.String())
		}
		if got := strings.Join(names, " "); got != tc.want || more != tc.more || ok != tc.ok {
			t.Errorf("%q: %q, more %v, ok %v", tc.in, got, more, ok)
		}
	}
	if !(threadID{tid: 1}).same(threadID{pid: 1, tid: 1, multi: true}) || (threadID{pid: 2, tid: 1, multi: true}).same(threadID{pid: 1, tid: 1, multi: true}) {
		t.Error("same")
	}
}

func description(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTargetXML(t *testing.T) {
	d, err := parseTargetXML(description(t, "target.xml"))
	must(t, err)
	if d.arch != "aarch64" || len(d.parts) != 2 || d.parts[0].include != "aarch64-core.xml" {
		t.Fatalf("%+v", d)
	}
	if d, err = parseTargetXML(description(t, "feature.xml")); err != nil {
		t.Fatal(err)
	}
	want := []xmlReg{{"x0", -1, 64}, {"sp", -1, 64}, {"cpsr", -1, 32}, {"z0", 34, 2048}, {"ESR_EL1", 0xe7, 64}}
	for i, w := range want {
		if d.parts[i].reg != w {
			t.Errorf("register %d is %+v, want %+v", i, d.parts[i].reg, w)
		}
	}
	for _, bad := range []string{
		"<target><reg name='a'/></target>", "<reg bitsize='8'/>", "<reg name='a' bitsize='0'/>", "<reg name='a' bitsize='99999999'/>",
		"<reg name='a' bitsize='8' regnum='70000'/>", "<a", strings.Repeat("<a>", 100), "<a>&nope;</a>",
		"<f>" + strings.Repeat("<reg name='a' bitsize='8'/>", maxRegs+1) + "</f>", strings.Repeat(" ", maxAnnex+1),
	} {
		if _, err := parseTargetXML([]byte(bad)); err == nil {
			t.Errorf("%.60q was accepted", bad)
		}
	}
}

func TestDefaultLayouts(t *testing.T) {
	for _, tc := range []struct {
		a    *arch.Arch
		name string
		off  int
	}{
		{arch.X86_64, "rip", 128}, {arch.X86_64, "eflags", 136}, {arch.X86_64, "gs", 160}, {arch.X86_64, "st0", 164}, {arch.X86_64, "xmm0", 276},
		{arch.ARM64, "sp", 248}, {arch.ARM64, "pc", 256}, {arch.ARM64, "cpsr", 264}, {arch.ARM64, "v0", 268},
	} {
		l := newLayout(defaultRegs(tc.a), tc.a, false)
		found := false
		for _, s := range l.slots {
			if s.name == tc.name {
				found = true
				if s.off != tc.off {
					t.Errorf("%s %s is at %d, want %d", tc.a.Name, tc.name, s.off, tc.off)
				}
			}
		}
		if !found {
			t.Errorf("%s: no %s", tc.a.Name, tc.name)
		}
	}
}

func TestSocketTables(t *testing.T) {
	var s peerState
	for _, line := range []string{
		"0000000000000000: 00000002 00000000 00010000 0001 01 38655 /run/gdb", // listens
		"0000000000000000: 00000003 00000000 00000000 0001 03 38656 /run/gdb",
		"0000000000000000: 00000002 00000000 00000000 0001 02     0 /run/gdb",
		"0000000000000000: 00000003 00000000 00000000 0001 03 38657 /run/gdb2",
		"0000000000000000: 00000003 00000000 00000000 0001 03 38658",
	} {
		s.countUnix(bytesFields(line), "/run/gdb")
	}
	if s != (peerState{served: 1, queued: 1}) {
		t.Errorf("unix: %+v", s)
	}
	s = peerState{}
	for _, line := range []string{
		"0: 0100007F:04D2 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1000 1",
		"1: 0100007F:04D2 0100007F:D431 01 00000000:00000000 00:00000000 00000000 0 0 1001 1",
		"2: 0100007F:04D2 0100007F:D432 01 00000000:00000000 00:00000000 00000000 0 0 0 1",
		"3: 0100007F:D431 0100007F:04D2 01 00000000:00000000 00:00000000 00000000 0 0 1002 1",
		"4: 0100007F:04D2 0100007F:D433 08 00000000:00000000 00:00000000 00000000 0 0 1003 1",
		"5: nonsense", "6: x:04D2 y 01", "",
	} {
		s.countTCP(bytesFields(line), 1234)
	}
	if s != (peerState{served: 1, queued: 1}) {
		t.Errorf("tcp: %+v", s)
	}
}

func bytesFields(s string) (f [][]byte) {
	for _, w := range strings.Fields(s) {
		f = append(f, []byte(w))
	}
	return f
}

func TestEventsAreBounded(t *testing.T) {
	q := newEventQueue()
	defer q.close()
	line := []byte(strings.Repeat("x", 1000))
	for range 10000 {
		q.add(target.Event{Kind: target.EventOutput, Text: append([]byte(nil), line...)})
	}
	q.add(target.Event{Kind: target.EventStopped})
	q.add(target.Event{Kind: target.EventLost})
	total, stops, note := 0, 0, false
	for e := range q.out {
		total += len(e.Text)
		note = note || strings.Contains(string(e.Text), "bytes of output dropped")
		if e.Kind == target.EventStopped {
			stops++
		}
	}
	if total > maxText+(cap(q.out)+2)*mergeText || !note || stops != 1 {
		t.Fatalf("%d bytes, note %v, %d stops", total, note, stops)
	}
}

func FuzzStopReply(f *testing.F) {
	for _, s := range []string{"T05thread:p01.01;watch:102000;", "S05", "W00;process:1", "T05swbreak:;", "T05;", "T0510:00;20:xx"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if r, ok := parseStop(p); ok && !strings.ContainsRune("TSWX", rune(r.kind)) {
			t.Fatalf("%q is a %q", p, r.kind)
		}
	})
}

func FuzzThreadList(f *testing.F) {
	for _, s := range []string{"mp01.01,p01.02", "m1,2,3", "l", "m-1", "mp1.,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		list, _, ok := parseThreadList(nil, p)
		if len(list) > maxThreads {
			t.Fatalf("%d threads", len(list))
		}
		// What was understood is understood the same when written again.
		if ok && len(list) > 0 {
			text := []byte{'m'}
			for i, l := range list {
				if i > 0 {
					text = append(text, ',')
				}
				text = l.append(text)
			}
			again, _, ok := parseThreadList(nil, text)
			if !ok || !slices.Equal(again, list) {
				t.Fatalf("%q became %q", p, text)
			}
		}
	})
}

func FuzzTargetXML(f *testing.F) {
	f.Add(description(f, "target.xml"))
	f.Add(description(f, "feature.xml"))
	f.Add([]byte("<!DOCTYPE x [<!ENTITY a 'b'>]><a>&a;</a>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, err := parseTargetXML(doc)
		if err != nil {
			return
		}
		var regs []xmlReg
		for _, p := range d.parts {
			if p.include == "" && (p.reg.bits <= 0 || p.reg.bits > maxRegBits || p.reg.name == "") {
				t.Fatalf("%+v", p)
			}
			if p.include == "" {
				regs = append(regs, p.reg)
			}
		}
		a := archOf(d.arch, regs, nil)
		newLayout(regs, a, true)
	})
}
