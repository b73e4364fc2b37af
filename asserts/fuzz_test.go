package asserts

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzScanner: no console text makes the scanner panic, loop or keep more than
// its limits, and what it finds can be written.
func FuzzScanner(f *testing.F) {
	logs, _ := filepath.Glob(filepath.Join("testdata", "logs", "*.log"))
	for _, path := range logs {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		sc := NewScanner(bytes.NewReader(b))
		last := int64(0)
		for n := 0; sc.Scan(); n++ {
			if n > len(b) {
				t.Fatal("more faults than bytes")
			}
			fault := sc.Fault()
			if fault.Kind == "" || fault.Reason == "" || fault.Source.FirstLine < last ||
				fault.Source.LastLine < fault.Source.FirstLine || fault.Source.ByteOffset > int64(len(b)) {
				t.Fatalf("bad fault %+v", fault)
			}
			last = fault.Source.FirstLine
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
		}
		if sc.Err() != nil {
			t.Fatal(sc.Err())
		}
	})
}
