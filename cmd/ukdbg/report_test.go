package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/bundle"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// A bundle of a crashed guest explains the crash on its own, and says beforehand
// what it holds.
func TestReport(t *testing.T) {
	g := boot(t, guesttest.Options{Image: "ukguest-arm64", QMP: true, Append: "rate=100 after=20 fault=null"})
	g.WaitConsole(t, "Unikraft halted", patience)
	at, dir := "qmp:"+g.QMPPath, t.TempDir()
	const cause = "through a null pointer"
	live := mustVerb(t, "crash", at, "-e", g.Debug)
	if !strings.Contains(live, cause) {
		t.Fatal(live)
	}
	preview := mustVerb(t, "report", at, "-e", g.Debug, "--preview")
	for _, want := range []string{"would hold", "dump.zst", "faults.json", "report.txt", "console.log", "trace.ukt", "stacks of threads", "trace buffer", "heap: records", `"text"`} {
		if !strings.Contains(preview, want) {
			t.Errorf("the preview lacks %q:\n%s", want, preview)
		}
	}
	small, whole, log := filepath.Join(dir, "small.zip"), filepath.Join(dir, "whole.zip"), filepath.Join(dir, "log")
	if err := os.WriteFile(log, []byte("a line of its own\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var a struct {
		File  string
		Image bundle.Image
		Files []bundle.File
	}
	if err := json.Unmarshal([]byte(mustVerb(t, "report", at, "-e", g.Debug, "-o", small, "--console", log, "--json")), &a); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(small); err != nil || st.Mode() != 0o600 || a.File != small || a.Image.Hash == "" || len(a.Files) != 6 {
		t.Errorf("%v, %v, %+v", st, err, a)
	}
	mustVerb(t, "report", at, "-e", g.Debug, "-o", whole, "--with-image")
	g.Kill()
	for _, words := range [][]string{{small, "-e", g.Debug}, {whole}} {
		if got := mustVerb(t, append([]string{"crash"}, words...)...); got != live {
			t.Errorf("%q differs from the guest %s", words, firstDifference(got, live))
		}
	}
	// Without the image: what was made of it where it was written.
	status, out, errs := verb(t, "", "crash", small)
	if status != exitOK || !strings.Contains(out, cause) || !strings.Contains(errs, a.Image.Hash) {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
	var faults faultsJSON
	if err := json.Unmarshal([]byte(mustVerb(t, "crash", small, "--json")), &faults); err != nil || len(faults.Faults) != 1 {
		t.Errorf("%v, %+v", err, faults)
	}
	if out := mustVerb(t, "report", whole, "--preview"); !strings.Contains(out, "image/ukguest-arm64.dbg") {
		t.Error(out)
	}
	// A dump is a target as well.
	mustVerb(t, "report", dumpOfBundle(t, small, dir), "-e", g.Debug, "-o", filepath.Join(dir, "again.zip"))
	for _, c := range []struct {
		words []string
		want  int
	}{
		{[]string{"report", at, "-e", g.Debug}, exitUsage}, {[]string{"report", at, "-o", small}, exitUsage},
		{[]string{"crash", small, "-e", "/no/such.dbg"}, exitUsage},
	} {
		if status, _, errs := verb(t, "", c.words...); status != c.want {
			t.Errorf("%q: status %d, %s", c.words, status, errs)
		}
	}
	b, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(small, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := verb(t, "", "crash", small); status != exitFailed || !strings.Contains(errs, "not a bug bundle") {
		t.Errorf("a bundle that is cut: status %d, %s", status, errs)
	}
}

// dumpOfBundle extracts the dump of a bundle.
func dumpOfBundle(t *testing.T, name, dir string) string {
	t.Helper()
	b, f, err := openBundle(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := filepath.Join(dir, "extracted.zst")
	if err := extract(b, bundle.Dump, out); err != nil {
		t.Fatal(err)
	}
	return out
}
