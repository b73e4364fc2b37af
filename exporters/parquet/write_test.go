package parquet_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/parquet"
	"github.com/ukdbg/ukdbg/internal/exporttest"
)

// DuckDB reads back every value, over several row groups.
func TestDuckDBReadsIt(t *testing.T) {
	const n = 30_000 // 150,000 rows, three row groups
	path := filepath.Join(t.TempDir(), "trace.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(parquet.Write(f, exporttest.Trace(n)), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query string
		want  string
	}{
		{"SELECT kind, name, count(*), sum(duration_ns)::BIGINT, count(error) FILTER (error) FROM $ GROUP BY ALL ORDER BY ALL",
			fmt.Sprintf("[[event free %d <nil> 0] [event sched_wakeup %d <nil> 0] [span request_serve %d %d %d] [span vfs_open %d %d 0] [span vfs_read %d %d 0]]",
				n, n, n, int64(n)*400_000, n/5, n, int64(n)*10_000, n, int64(n)*200_000)},
		{"SELECT count(*) FROM parquet_metadata('@') WHERE path_in_schema = 'kind'", "[[4]]"},
		{"SELECT time::VARCHAR, guest_ns, id, parent, root, thread_id, thread, cpu, attributes->>'$.path', attributes->>'$.flags', error FROM $ WHERE id = 12",
			"[[2023-11-14 22:13:20.002001+00 2001000 12 11 11 2 worker-2 1 /archive/1.txt -3 false]]"},
		{"SELECT attributes->>'$.len', attributes->>'$.buf', attributes->>'$.\"ukdbg.ambiguous\"' FROM $ WHERE id = 13", "[[9223372036854775808 0xffff800000001000 true]]"},
		{"SELECT count(*) FROM $ WHERE parent IS NULL AND kind = 'span'", fmt.Sprintf("[[%d]]", n)},
		{"SELECT time FROM $ WHERE time < '2020-01-01' OR time IS NULL", "[]"},
	} {
		query := "SET TimeZone='UTC'; " + strings.NewReplacer("$ ", "'"+path+"' ", "'@'", "'"+path+"'").Replace(c.query+" ")
		if got := fmt.Sprint(exporttest.DuckDB(t, query)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.query, got, c.want)
		}
	}
	// The guest's text, byte for byte where it is UTF-8.
	want := strings.ToValidUTF8(exporttest.Hostile, "\uFFFD")
	rows := exporttest.DuckDB(t, "SELECT DISTINCT thread, error_text, attributes->>'$.path' FROM '"+path+"' WHERE id = 141")
	if !reflect.DeepEqual(rows, [][]any{{want, "error=-22 " + want, want}}) {
		t.Errorf("hostile text came back as %q, want %q", rows, want)
	}
}

// Without a clock there is no time of day, and nothing at all is a file, too.
func TestWithoutClockOrRows(t *testing.T) {
	dir := t.TempDir()
	tr := exporttest.Trace(2)
	tr.Clock = exporters.Clock{}
	for name, tr := range map[string]exporters.Trace{"two": tr, "none": {Spans: exporters.Of()}} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(parquet.Write(f, tr), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(exporttest.DuckDB(t, "SELECT count(*), count(time) FROM read_parquet('"+dir+"/two')")); got != "[[10 0]]" {
		t.Error(got)
	}
	if got := fmt.Sprint(exporttest.DuckDB(t, "SELECT count(*), max(name) FROM read_parquet('"+dir+"/none')")); got != "[[0 <nil>]]" {
		t.Error(got)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestFailures(t *testing.T) {
	if err := parquet.Write(brokenWriter{}, exporttest.Trace(100_000)); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("a full disk: %v", err)
	}
	bad := errors.New("bad block")
	err := parquet.Write(&strings.Builder{}, exporters.Trace{Spans: func(yield func(exporters.Span, error) bool) { yield(exporters.Span{}, bad) }})
	if !errors.Is(err, bad) {
		t.Errorf("a failing source: %v", err)
	}
}
