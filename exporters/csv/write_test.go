package csv_test

import (
	encoding "encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/csv"
	"github.com/ukdbg/ukdbg/internal/exporttest"
)

func TestGolden(t *testing.T) {
	var b strings.Builder
	clock, err := exporters.NewClock(exporters.Segment{Offset: 1000})
	if err != nil {
		t.Fatal(err)
	}
	tr := exporters.Trace{
		Clock: clock,
		Spans: exporters.Of(
			exporters.Span{ID: 7, Parent: 5, Root: 5, Name: "vfs_read", Start: 10, End: 25, Thread: exporters.Thread{ID: 2, Name: "a,b", Known: true},
				CPU: exporters.CPU{ID: 1, Known: true}, Err: true, ErrType: "EIO", ErrText: "=1+2", Attrs: []exporters.Attr{exporters.Int("fd", -3)}},
			exporters.Span{ID: 5, Name: "@serve", Start: 9, End: 8}),
		Instants: func(yield func(exporters.Event, error) bool) { yield(exporters.Event{Name: "free", Time: 30}, nil) },
	}
	if err := csv.Write(&b, tr); err != nil {
		t.Fatal(err)
	}
	want := `kind,name,guest_ns,unix_ns,duration_ns,id,parent,root,thread_id,thread,cpu,error,error_type,error_text,attributes
span,vfs_read,10,1010,15,7,5,5,2,"a,b",1,true,EIO,'=1+2,"{""fd"":-3}"
span,'@serve,9,1009,0,5,,5,,,,false,,,{}
event,free,30,1030,,,,,,,,,,,{}
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// Every row has every column, and hostile text comes back whole.
func TestReadsBack(t *testing.T) {
	const n = 500
	var b strings.Builder
	if err := csv.Write(&b, exporttest.Trace(n)); err != nil {
		t.Fatal(err)
	}
	rows, err := encoding.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 1+5*n {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	want := strings.ToValidUTF8(exporttest.Hostile, "\uFFFD")
	seen := 0
	for _, r := range rows[1:] {
		var attrs map[string]any
		if err := json.Unmarshal([]byte(r[14]), &attrs); err != nil {
			t.Fatalf("attributes %s: %v", r[14], err)
		}
		if r[1] == "request_serve" {
			if attrs["path"] != want {
				t.Fatalf("path %q, want %q", attrs["path"], want)
			}
			seen++
		}
		if r[3] != fmt.Sprint(exporttest.Boot+atoi(t, r[2])) {
			t.Fatalf("guest time %s is %s", r[2], r[3])
		}
	}
	if seen != n {
		t.Errorf("%d requests", seen)
	}
}

func atoi(t *testing.T, s string) (v int64) {
	if _, err := fmt.Sscan(s, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
