package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the goldens; look at each before it is committed")

// The recordings in testdata/trace are of our guest: guest.ukt of x86_64 with
// rate=100, cut.ukt of arm64 with rate=400, cut off in the middle of a block,
// ring.ukt of x86_64 with uktrace, rate=60 and backtraces of allocations.
// Files of upstream's are those of package pickle.
const (
	guestTrace  = "testdata/trace/guest.ukt"
	cutTrace    = "testdata/trace/cut.ukt"
	ringTrace   = "testdata/trace/ring.ukt"
	pickleTrace = "../../tracebuf/pickle/testdata/p4-5.pickle"
)

func TestTraceGoldens(t *testing.T) {
	merged := filepath.Join(t.TempDir(), "merged")
	mustVerb(t, "trace", "merge", guestTrace, cutTrace, "-o", merged)
	for name, args := range map[string][]string{
		"list":           {"list", "--last", "40", guestTrace},
		"list-filter":    {"list", guestTrace, "-w", `name=="vfs_*" && (len>=4096 || arg0~"^/archive/2")`},
		"list-thread":    {"list", guestTrace, "--thread", "worker-?", "--name", "mutex_lock*", "--sample", "50"},
		"list-slice":     {"list", guestTrace, "--since", "+100ms", "--until", "+118ms"},
		"list-json":      {"list", "--format", "json", "--last", "12", guestTrace},
		"list-csv":       {"list", "--format", "csv", "-w", "error!=0", guestTrace},
		"list-cut":       {"list", "--last", "5", cutTrace},
		"list-host-time": {"list", "--host-time", "--last", "3", guestTrace},
		"list-pickle":    {"list", pickleTrace},
		"list-merged":    {"list", guestTrace, cutTrace, "--sample", "3000"},
		"summary":        {"summary", guestTrace},
		"summary-filter": {"summary", guestTrace, "-w", "duration>1ms"},
		"summary-json":   {"summary", "--json", guestTrace},
		"summary-csv":    {"summary", "--format", "csv", cutTrace},
		"spans":          {"spans", guestTrace, "--name", "vfs_open"},
		"spans-longest":  {"spans", guestTrace, "--longest", "--limit", "8"},
		"spans-errors":   {"spans", guestTrace, "--errors", "--json"},
		"hist":           {"hist", guestTrace, "--name", "request_serve"},
		"hist-csv":       {"hist", guestTrace, "--name", "vfs_read", "--format", "csv"},
		"tree":           {"tree", guestTrace},
		"tree-thread":    {"tree", guestTrace, "--by-thread", "--thread", "worker-*", "--least", "1"},
		"tree-json":      {"tree", guestTrace, "--json"},
		"diff":           {"diff", guestTrace, cutTrace},
		"diff-json":      {"diff", "--all", "--json", guestTrace, cutTrace},
		"top":            {"top", guestTrace, "--rows", "5"},
		"waits":          {"waits", guestTrace},
		"waits-missing":  {"waits", pickleTrace},
		"locks":          {"locks", guestTrace},
		"locks-missing":  {"locks", pickleTrace},
		"allocs":         {"allocs", guestTrace},
		"allocs-missing": {"allocs", pickleTrace},
		"info":           {"info", "--points", guestTrace},
		"info-json":      {"info", "--json", cutTrace},
		"info-pickle":    {"info", pickleTrace},
		"info-merged":    {"info", merged},
		"list-merge":     {"list", merged, "--sample", "3000"},
		"summary-merged": {"summary", merged},
		"info-ring":      {"info", "--points", ringTrace},
		"list-ring":      {"list", "--last", "15", ringTrace},
		"list-ring-json": {"list", "--format", "json", "--last", "8", ringTrace},
		"summary-ring":   {"summary", ringTrace},
		"tree-ring":      {"tree", ringTrace},
		"waits-ring":     {"waits", ringTrace},
		"locks-ring":     {"locks", ringTrace},
		"allocs-ring":    {"allocs", ringTrace},
		"export-json":    {"export", guestTrace, "--name", "vfs_open", "--format", "chrome", "-o", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustVerb(t, append([]string{"trace"}, args...)...)
			golden := filepath.Join("testdata", "trace", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, []byte(got)) {
				t.Errorf("ukdbg trace %s:\n%s\nwant:\n%s", strings.Join(args, " "), got, want)
			}
		})
	}
}

// A merged file reads as the two files together do, from a pipe too.
func TestTraceMerge(t *testing.T) {
	merged := filepath.Join(t.TempDir(), "merged")
	mustVerb(t, "trace", "merge", guestTrace, cutTrace, "-o", merged)
	both := mustVerb(t, "trace", "list", "--format", "csv", guestTrace, cutTrace)
	one := mustVerb(t, "trace", "list", "--format", "csv", merged)
	if strings.Count(both, "\n") < 10000 || one != both {
		t.Errorf("merged: %d lines, the two together: %d lines", strings.Count(one, "\n"), strings.Count(both, "\n"))
	}
	b, err := os.ReadFile(merged)
	if err != nil {
		t.Fatal(err)
	}
	if _, piped, _ := verb(t, string(b), "trace", "list", "--format", "csv", "-"); piped != one {
		t.Errorf("from a pipe: %d lines", strings.Count(piped, "\n"))
	}
}

func TestTraceUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"list"}, exitUsage, "TARGET or a FILE"},
		{[]string{"list", guestTrace, "-w", "size >"}, exitUsage, "want a number"},
		{[]string{"list", guestTrace, "--since", "yesterday"}, exitUsage, "--since"},
		{[]string{"list", guestTrace, "--format", "xml"}, exitUsage, "table, json or csv"},
		{[]string{"list", "--raw", guestTrace}, exitUsage, "give the image with -e"},
		{[]string{"spans", guestTrace, "--limit", "-1"}, exitUsage, "--limit"},
		{[]string{"record", ":1"}, exitUsage, "give -o FILE"},
		{[]string{"points", guestTrace}, exitUsage, "info --points"},
		{[]string{"enable", guestTrace, "*"}, exitUsage, "info --points"},
		{[]string{"record", ":1", "-o", "x", "--every", "-1s"}, exitUsage, "above 0"},
		{[]string{"merge", guestTrace}, exitUsage, "give -o FILE"},
		{[]string{"merge", "testdata/nothing", "-o", "x"}, exitFailed, "no such file"},
		{[]string{"export", guestTrace, cutTrace, "-o", "-"}, exitUsage, "one by one"},
	} {
		status, _, errs := verb(t, "", append([]string{"trace"}, c.args...)...)
		if status != c.status || !strings.Contains(errs, c.says) {
			t.Errorf("trace %s: status %d, %s", strings.Join(c.args, " "), status, errs)
		}
	}
}
