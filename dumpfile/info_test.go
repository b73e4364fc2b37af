package dumpfile

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

func TestParseInfo(t *testing.T) {
	want := Info{Version: 1, Writer: "ukdbg", Minimal: true, Tables: &Tables{Format: "x86", CR3: 0x5000}, CPUs: []CPUInfo{{System: map[string]Hex{"cr0": 1}}}}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseInfo(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "{}", `{"version":0}`, `[1]`, `{"version":1,"tables":{"cr3":"0xg"}}`, `{"version":1,"cpus":[{"system":{"a":"0x10000000000000000"}}]}`} {
		if _, err := ParseInfo([]byte(bad)); !errors.Is(err, ErrInfo) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := ParseInfo(make([]byte, maxInfo+1)); !errors.Is(err, ErrInfo) {
		t.Error(err)
	}
}

func FuzzInfo(f *testing.F) {
	f.Add([]byte(`{"version":1,"tables":{"format":"arm64","tcr":"0x1","ttbr0":"0x2"},"cpus":[{"system":{"cr0":"0x11"},"unknown":["rax"]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		i, err := ParseInfo(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(i)
		if err != nil {
			return // a date JSON takes and does not write
		}
		if _, err := ParseInfo(again); err != nil {
			t.Errorf("%s: %v", again, err)
		}
	})
}
