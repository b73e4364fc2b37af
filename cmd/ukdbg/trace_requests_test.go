package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// rarely is so seldom that nothing is dropped, however late the recorder comes: the
// buffer holds what happens in half a minute.
const rarely = "rate=10"

// The summary of a recording since boot counts the requests and failures that the
// guest counts itself; those since the last reading are in its buffer.
func TestRecordRequests(t *testing.T) {
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		t.Run(image, func(t *testing.T) {
			g := boot(t, guesttest.Options{Image: image, GDB: "tcp", Append: rarely})
			g.WaitConsole(t, "requests served", patience)
			file := filepath.Join(t.TempDir(), "trace")
			end := startRecording(t, g.GDBAddr(), g, file)
			g.serves(t, 20)
			r := end()
			out := mustVerb(t, "attach", g.GDBAddr(), "-e", g.Debug, "--batch", "--ex", "print server.stats.served", "--ex", "print server.stats.failed",
				"--ex", "print uk_trace_stats.dropped", "--ex", "trace 1000000")
			var counted [3]int
			for i := range counted {
				m := regexp.MustCompile(fmt.Sprintf(`\$%d = (\d+)`, i+1)).FindStringSubmatch(out)
				if m == nil {
					t.Fatalf("no counter %d in:\n%s", i, out)
				}
				var err error
				if counted[i], err = strconv.Atoi(m[1]); err != nil {
					t.Fatal(err)
				}
			}
			if counted[2] != 0 {
				t.Fatalf("the guest dropped %d records: the machine was too slow for this test; %+v", counted[2], r)
			}
			all, failed := 0, 0
			for _, row := range jsonLines[struct {
				Name          string
				Count, Errors int
			}](t, "summary", "--json", file) {
				if row.Name == "request_serve" {
					all, failed = row.Count, row.Errors
				}
			}
			served := all - failed + strings.Count(out, "request_serve_ret")
			failed += strings.Count(out, "request_serve_err")
			t.Logf("%d served and %d failed, in %d records", served, failed, r.Records)
			if all == 0 || served != counted[0] || failed != counted[1] {
				t.Errorf("%d served and %d failed (%d in the recording), the guest says %d and %d", served, failed, all, counted[0], counted[1])
			}
		})
	}
}
