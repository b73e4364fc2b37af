package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/ukdbg/ukdbg/exporters/wire"
	"github.com/ukdbg/ukdbg/internal/exporttest"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// exported is what trace list --json tells of a record, as far as it is needed.
type exported struct {
	TimeNS uint64 `json:"time_ns"`
	Name   string
	CPU    *int
	Thread string
}

// TestExportForms writes one dump of a guest with uktrace's rings in every form
// and reads each back with a program of others: all agree with trace list and
// trace spans, record by record.
func TestExportForms(t *testing.T) {
	for _, arch := range []string{"x86_64", "arm64"} {
		t.Run(arch, func(t *testing.T) { testExportForms(t, arch) })
	}
}

func testExportForms(t *testing.T, arch string) {
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-" + arch + "-ring", Append: "rate=300", SMP: 2})
	vm.WaitConsole(t, "cpu1-worker did", patience)
	dir := t.TempDir()
	core := filepath.Join(dir, "core")
	vm.QMP(t, "dump-guest-memory", map[string]any{"paging": false, "protocol": "file:" + core})
	with := func(args ...string) []string { return append(args, core, "-e", vm.Debug) }

	var records []exported
	dec := json.NewDecoder(strings.NewReader(mustVerb(t, with("trace", "list", "--json")...)))
	for dec.More() {
		var r exported
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	spans := strings.Count(mustVerb(t, with("trace", "spans", "--json")...), "\n")
	if len(records) < 500 || spans < 100 {
		t.Fatalf("%d records, %d spans", len(records), spans)
	}
	export := func(name string) string {
		path := filepath.Join(dir, name)
		mustVerb(t, with("trace", "export", "-o", path)...)
		return path
	}

	t.Run("ctf", func(t *testing.T) {
		lines := strings.Split(strings.TrimSpace(exporttest.Babeltrace(t, "--clock-cycles", "--no-delta", export("trace.ctf"))), "\n")
		if len(lines) != len(records) {
			t.Fatalf("babeltrace2 reads %d records, want %d", len(lines), len(records))
		}
		cpus := map[int]bool{}
		var got, want []string // those of equal times may come in another order
		for i, r := range records {
			if r.CPU == nil {
				t.Fatalf("record %d has no CPU", i)
			}
			cpus[*r.CPU] = true
			want = append(want, fmt.Sprintf("[%020d] %s: { cpu_id = %d }", r.TimeNS, r.Name, *r.CPU))
			line, _, _ := strings.Cut(lines[i], ", { tid")
			got = append(got, line)
			if r.Thread != "" && !strings.Contains(lines[i], fmt.Sprintf("thread = %q }", r.Thread)) {
				t.Errorf("record %d is of %s: %s", i, r.Thread, lines[i])
			}
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("record %d\n got %s\nwant %s", i, got[i], want[i])
			}
		}
		if len(cpus) != 2 {
			t.Errorf("records of the CPUs %v", cpus)
		}
	})
	t.Run("parquet", func(t *testing.T) {
		path := export("trace.parquet")
		rows := exporttest.DuckDB(t, "SELECT count(*) FILTER (kind = 'span'), count(cpu), count(*) FILTER (time > '2020-01-01'), count(*) FILTER (kind = 'span' AND duration_ns >= 0) FROM '"+path+"'")
		all := exporttest.DuckDB(t, "SELECT count(*) FROM '"+path+"'")[0][0]
		if want := fmt.Sprintf("[[%d %v %v %d]]", spans, all, all, spans); fmt.Sprint(rows) != want {
			t.Errorf("DuckDB reads %v, want %s", rows, want)
		}
	})
	t.Run("csv", func(t *testing.T) {
		data, err := os.ReadFile(export("trace.csv"))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range rows {
			if r[0] == "span" {
				n++
			}
		}
		if n != spans {
			t.Errorf("%d spans, want %d", n, spans)
		}
	})
	t.Run("pprof", func(t *testing.T) {
		data, err := os.ReadFile(export("trace.pb.gz"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := pprof.ParseData(data)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range p.Sample {
			n += int(s.Value[0])
		}
		if n != spans || p.CheckValid() != nil {
			t.Errorf("%d spans, want %d", n, spans)
		}
	})
	t.Run("folded", func(t *testing.T) {
		data, err := os.ReadFile(export("trace.folded"))
		if err != nil || !strings.Contains(string(data), ";request_serve;") {
			t.Errorf("%v in\n%s", err, data)
		}
	})
	t.Run("perfetto", func(t *testing.T) {
		data, err := os.ReadFile(export("trace.perfetto"))
		if err != nil {
			t.Fatal(err)
		}
		if n := flowsIn(t, data); n < 20 {
			t.Errorf("%d wake-ups are connected with what ran then", n)
		}
		for _, c := range []string{"heap: allocated since the trace's begin", "runnable threads", "in progress: request_serve", "in progress: mutex_lock", "lost records"} {
			if values := counterValues(t, data, c); len(values) == 0 || c != "lost records" && len(values) < 10 {
				t.Errorf("counter %q has the values %v", c, values)
			}
		}
	})
	t.Run("html", func(t *testing.T) {
		if arch != "x86_64" {
			return // one look is enough
		}
		dom, console, _ := exporttest.Chromium(t, export("trace.html"))
		if !strings.Contains(dom, `data-ready="yes"`) || !strings.Contains(dom, "<td>request_serve</td>") || !strings.Contains(dom, ">worker-1</div>") {
			t.Errorf("the page was not drawn; console:\n%s", console)
		}
	})
	t.Run("folder to stdout", func(t *testing.T) {
		if status, _, errs := verb(t, "", with("trace", "export", "--format", "ctf", "-o", "-")...); status != exitUsage || !strings.Contains(errs, "folder") {
			t.Errorf("status %d: %s", status, errs)
		}
	})
	t.Run("spool", func(t *testing.T) {
		spool := filepath.Join(dir, "spool")
		status, _, errs := verb(t, "", with("trace", "export", "--to", "http://127.0.0.1:1", "--spool", spool, "--patience", "10ms")...)
		if status != exitFailed || !strings.Contains(errs, "in the spool") {
			t.Errorf("status %d: %s", status, errs)
		}
		if files, err := filepath.Glob(filepath.Join(spool, "*.batch")); err != nil || len(files) == 0 {
			t.Errorf("nothing in the spool: %v", err)
		}
	})
}

// flowsIn counts the flows of a Perfetto trace that connect two events: packet 1,
// track event 11, flow 47.
func flowsIn(t *testing.T, file []byte) int {
	t.Helper()
	ends := map[uint64]int{}
	err := wire.Fields(file, func(packet wire.Field) error {
		return wire.Fields(packet.Bytes, func(f wire.Field) error {
			if f.Num != 11 {
				return nil
			}
			return wire.Fields(f.Bytes, func(f wire.Field) error {
				if f.Num == 47 {
					ends[f.Value]++
				}
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range ends {
		if e == 2 {
			n++
		}
	}
	return n
}

// counterValues are those of a counter in a Perfetto trace: its track's
// descriptor 60 has number 1, name 2 and a counter 8; a track event 11 of it has
// the track 11 and the value 30.
func counterValues(t *testing.T, file []byte, name string) (values []int64) {
	t.Helper()
	track := uint64(0)
	err := wire.Fields(file, func(packet wire.Field) error {
		return wire.Fields(packet.Bytes, func(f wire.Field) error {
			var id, value uint64
			called, counts := "", false
			if f.Num != 60 && f.Num != 11 {
				return nil
			}
			err := wire.Fields(f.Bytes, func(g wire.Field) error {
				switch {
				case f.Num == 60 && g.Num == 1, f.Num == 11 && g.Num == 11:
					id = g.Value
				case f.Num == 60 && g.Num == 2:
					called = string(g.Bytes)
				case f.Num == 60 && g.Num == 8:
					counts = true
				case f.Num == 11 && g.Num == 30:
					value, counts = g.Value, true
				}
				return nil
			})
			switch {
			case f.Num == 60 && counts && called == name:
				track = id
			case f.Num == 11 && counts && track != 0 && id == track:
				values = append(values, int64(value))
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}
