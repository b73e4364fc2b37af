package ctf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/ctf"
	"github.com/ukdbg/ukdbg/internal/exporttest"
)

// babeltrace's escapes of a string.
var escape = strings.NewReplacer("\n", `\n`, "\t", `\t`, `"`, `\"`, `\`, `\\`, "\x1b", `\e`)

// printed is how babeltrace2 prints a record with --clock-cycles --no-delta.
func printed(e *exporters.Event) string {
	var fields []string
	for _, a := range e.Attrs {
		value := ""
		switch a.Kind {
		case exporters.KindString:
			value = `"` + escape.Replace(strings.ToValidUTF8(a.Str, "\uFFFD")) + `"`
		case exporters.KindInt:
			value = fmt.Sprint(int64(a.Num))
		case exporters.KindPointer:
			value = fmt.Sprintf("0x%X", a.Num)
		default:
			value = fmt.Sprint(a.Num)
		}
		fields = append(fields, strings.ReplaceAll(a.Key, ".", "_")+" = "+value)
	}
	list := strings.Join(fields, ", ") + " "
	if len(fields) == 0 {
		list = ""
	}
	return fmt.Sprintf(`[%020d] %s: { cpu_id = %d }, { tid = %d, thread = "%s" }, { %s}`, e.Time, e.Name, e.CPU.ID, e.Thread.ID,
		escape.Replace(strings.ToValidUTF8(e.Thread.Name, "\uFFFD")), list)
}

// babeltrace2 reads back the same records, over many packets and two streams.
func TestBabeltraceReadsItBack(t *testing.T) {
	const n = 10_000
	dir := filepath.Join(t.TempDir(), "trace")
	tr := exporttest.Trace(n)
	st, err := ctf.Write(dir, tr)
	if err != nil || st.Events != 4*n || st.Classes != 4 || st.Streams != 2 || st.Late != 0 {
		t.Fatalf("%+v, %v", st, err)
	}
	got := strings.Split(strings.TrimSuffix(exporttest.Babeltrace(t, "--clock-cycles", "--no-delta", dir), "\n"), "\n")
	if len(got) != 4*n {
		t.Fatalf("%d records, want %d", len(got), 4*n)
	}
	i := 0
	for e := range tr.Records {
		if want := printed(&e); got[i] != want {
			t.Fatalf("record %d\n got %s\nwant %s", i, got[i], want)
		}
		i++
	}
	if info, err := os.Stat(filepath.Join(dir, "cpu0")); err != nil || info.Size() < 1<<20 {
		t.Errorf("cpu0 is too small to have several packets: %v, %v", info, err)
	}
	// The time of day.
	first := strings.SplitN(exporttest.Babeltrace(t, "--clock-gmt", "--clock-date", dir), "\n", 2)[0]
	if !strings.HasPrefix(first, "[2023-11-14 22:13:20.000999000]") {
		t.Errorf("first record at %s", first)
	}
}

// What CTF could stumble over: odd names, one name with other attributes, times
// that go back, a NUL, no thread, no CPU.
func TestOddRecords(t *testing.T) {
	events := []exporters.Event{
		{Name: exporttest.Hostile, Time: 5, Attrs: []exporters.Attr{exporters.Int("int", 1), exporters.Int("a b", 2), exporters.Int("a-b", 3), exporters.String("", "x\x00y"), exporters.Bool("yes", true)}},
		{Name: "event", Time: 4, Attrs: []exporters.Attr{exporters.Int("struct", -1)}},
		{Name: "event", Time: -7, Attrs: []exporters.Attr{exporters.String("struct", "now a string")}},
	}
	dir := t.TempDir()
	st, err := ctf.Write(dir, exporters.Trace{Records: func(yield func(exporters.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}})
	if err != nil || st.Late != 2 || st.Classes != 3 || st.Streams != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	out := exporttest.Babeltrace(t, "--clock-cycles", "--no-delta", dir)
	for _, want := range []string{
		`{ cpu_id = -1 }, { tid = -1, thread = "" }, { int = 1, a_b = 2, a_b_2 = 3,  = "x␀y", yes = 1 }`,
		"[00000000000000000005] event: { cpu_id = -1 }, { tid = -1, thread = \"\" }, { struct = -1 }\n",
		"[00000000000000000005] event: { cpu_id = -1 }, { tid = -1, thread = \"\" }, { struct = \"now a string\" }\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

func TestFolder(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "new", "folder")
	none := func(func(exporters.Event, error) bool) {}
	if _, err := ctf.Write(empty, exporters.Trace{Records: none}); err != nil {
		t.Fatal(err)
	}
	if out := exporttest.Babeltrace(t, empty); out != "" {
		t.Errorf("a trace of nothing reads as %s", out)
	}
	if _, err := ctf.Write(empty, exporters.Trace{Records: none}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder in use: %v", err)
	}
}
