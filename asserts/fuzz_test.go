package asserts

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxFuzz is the longest text a fuzz target looks at.
const maxFuzz = 1 << 20

// addLogs makes every log and every format's report a seed.
func addLogs(f *testing.F, add func(log []byte)) {
	for _, name := range logNames(f) {
		add(readLog(f, name))
	}
	for _, tt := range formatTests {
		add([]byte(tt.log))
	}
}

// sound checks what must hold of any fault, and that it can be written.
func sound(t *testing.T, fault *Fault, size int) {
	t.Helper()
	if fault.Kind == "" || fault.Reason == "" || fault.Source.FirstLine < 1 ||
		fault.Source.LastLine < fault.Source.FirstLine || fault.Source.ByteOffset > int64(size) {
		t.Fatalf("bad fault %+v", fault)
	}
	if len(fault.Registers) > maxRegisters || len(fault.Backtrace) > maxBacktrace || len(fault.Memory) > maxMemoryRows ||
		len(fault.Consequences) > maxConsequences || len(fault.Details) > maxDetails {
		t.Fatal("a limit is exceeded")
	}
	if _, err := json.Marshal(fault); err != nil {
		t.Fatal(err)
	}
	if err := Render(io.Discard, fault, RenderOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := WriteSARIF(io.Discard, []Named{{Fault: fault}}, SARIFOptions{Log: "log"}); err != nil {
		t.Fatal(err)
	}
}

// FuzzScanner: no console text makes the scanner panic, loop or keep more than
// its limits, and what it finds can be written.
func FuzzScanner(f *testing.F) {
	addLogs(f, func(log []byte) { f.Add(log) })
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxFuzz {
			return
		}
		sc := NewScanner(bytes.NewReader(b))
		for n := 0; sc.Scan(); n++ {
			if n > len(b) {
				t.Fatal("more faults than bytes")
			}
			sound(t, sc.Fault(), len(b))
		}
		if sc.Err() != nil {
			t.Fatal(sc.Err())
		}
	})
}

// FuzzFormat gives text to one format alone, whatever the anchors say: every line
// may begin its report, and every line after that is offered to it.
func FuzzFormat(f *testing.F) {
	addLogs(f, func(log []byte) {
		for i := range formats {
			if read(log, i, func(assembler) {}) > 0 {
				f.Add(uint8(i), log)
			}
		}
	})
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		if len(b) > maxFuzz {
			return
		}
		read(b, int(which)%len(formats), func(a assembler) {
			fault := a.fault()
			fault.Source.LastLine = max(fault.Source.LastLine, fault.Source.FirstLine)
			conclude(fault)
			sound(t, fault, len(b))
		})
	})
}

// read offers the lines of a log to format i and returns how many reports began.
func read(log []byte, i int, done func(assembler)) (began int) {
	var open assembler
	lines := newLineReader(bytes.NewReader(log))
	for {
		line, ok := lines.next()
		if !ok {
			break
		}
		text, o := stripPrefix(clean(line.data))
		splitSegments(text, line.number, line.offset, func(seg *segment) {
			seg.hypervisor = o.hypervisor
			if open != nil {
				switch open.add(seg) {
				case taken, last:
					return
				}
			}
			if a := formats[i].begin(seg, open); a != nil {
				if open != nil && open.fault() != a.fault() {
					done(open)
				}
				began++
				open = a
			}
		})
	}
	if open != nil {
		done(open)
	}
	return began
}

// FuzzPrefix: taking off a prefix never invents text.
func FuzzPrefix(f *testing.F) {
	for _, wrap := range transports {
		f.Add([]byte(wrap(7, "[    0.100000] CRIT: text")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxFuzz {
			return
		}
		text := clean(append([]byte(nil), b...))
		body, o := stripPrefix(text)
		if !bytes.HasSuffix(text, body) || !bytes.Contains(text, o.name) {
			t.Fatalf("%q gives %q and %q", b, body, o.name)
		}
	})
}

// FuzzJSONLine: what docker would write is read back; nothing else grows or
// panics.
func FuzzJSONLine(f *testing.F) {
	f.Add([]byte(`{"log":"CRIT: \u003cinit\u003e \"x\"\n","stream":"stdout","time":"2026-11-22T07:00:00Z"}`))
	f.Add([]byte(`{"log":"\u00`))
	f.Add([]byte(`{"log":"\`))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := append([]byte(nil), b...)
		text, _, ok := jsonLine(in)
		if len(text) > len(b) || !ok && !bytes.Equal(text, b) {
			t.Fatalf("%q gives %q", b, text)
		}
		quoted, err := json.Marshal(string(b) + "\n")
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ToValidUTF8(string(b), "\ufffd")
		if text, partial, ok := jsonLine([]byte(`{"log":` + string(quoted) + "}\n")); !ok || partial || utf8.Valid(b) && string(text) != want {
			t.Fatalf("%q is read as %q (%v, %v)", quoted, text, partial, ok)
		}
	})
}
