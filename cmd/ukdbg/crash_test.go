package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const twoReports = "web-1  | [    0.1] booting\n" +
	"web-1  | [    0.133086] CRIT: [app] <shop.c @   13> Assertion failure: n > 0 && \"two words\"\r\n" +
	"db-1   | Solo5: trap: type=#PF ec=0x2 rip=0x105fe2 rsp=0x7fdffa0 rflags=0x206\n" +
	"web-1  | [    0.133197] Info: [libkvmplat] <shutdown.c @   59> Unikraft halted\n" +
	"db-1   | Solo5: trap: cr2=0x400000000\n"

// TestCrashJSON: the keys that are always there, and an empty list without a
// report.
func TestCrashJSON(t *testing.T) {
	status, out, errs := verb(t, twoReports, "crash", "-", "--json")
	var a struct{ Faults []map[string]any }
	if keys := fields(t, out, &a); status != exitOK || !slices.Equal(keys, []string{"faults"}) || len(a.Faults) != 2 {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	for i, f := range a.Faults {
		for _, key := range []string{"kind", "subkind", "reason", "address", "registers", "frames", "source", "inferred", "consequences", "fingerprint"} {
			if _, ok := f[key]; !ok {
				t.Errorf("fault %d has no %s", i, key)
			}
		}
	}
	a0, a1 := a.Faults[0], a.Faults[1]
	if a0["kind"] != "assertion" || a0["address"] != nil || a1["kind"] != "page-fault" || a1["address"] != "0x400000000" {
		t.Errorf("%v\n%v", a0, a1)
	}
	if src := a1["source"].(map[string]any); src["format"] != "solo5" || src["line"] != 3.0 {
		t.Errorf("source %v", src)
	}
	status, out, _ = verb(t, "all is well\n", "crash", "-", "--json")
	if status != exitOK || out != "{\n  \"faults\": []\n}\n" {
		t.Errorf("status %d: %q", status, out)
	}
}

// TestCrashSARIF: a log with results of both guests; asserts tests the form.
func TestCrashSARIF(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")
	if err := os.WriteFile(path, []byte(twoReports), 0o600); err != nil {
		t.Fatal(err)
	}
	var a struct {
		Version string
		Runs    []struct{ Results []struct{ RuleID string } }
	}
	fields(t, mustVerb(t, "crash", path, "--sarif"), &a)
	if a.Version != "2.1.0" || len(a.Runs) != 1 || len(a.Runs[0].Results) != 2 || a.Runs[0].Results[0].RuleID != "assertion" {
		t.Errorf("%+v", a)
	}
	for _, other := range []string{"--json", "--follow"} {
		if status, _, errs := verb(t, "", "crash", path, "--sarif", other); status != exitUsage || !strings.Contains(errs, "--sarif") {
			t.Errorf("with %s: status %d: %s", other, status, errs)
		}
	}
}

// TestCrashFollow: reports come while the log grows, one line of JSON each; the
// end of the command's context ends it with status 0.
func TestCrashFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")
	if err := os.WriteFile(path, []byte("booting\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	lines := make(chan string, 16)
	var errs bytes.Buffer
	done := make(chan int)
	go func() {
		e := env{in: strings.NewReader(""), out: lineWriter(lines), err: &errs, getenv: func(string) string { return "" }}
		done <- run(ctx, e, []string{"crash", path, "--follow", "--json"})
	}()
	for _, want := range []string{"first", "second"} {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("CRIT: [app] <a.c @ 1> Assertion failure: " + want + "\n"); err != nil {
			t.Fatal(err)
		}
		f.Close()
		select {
		case l := <-lines:
			var a struct{ Faults []struct{ Reason string } }
			if err := json.Unmarshal([]byte(l), &a); err != nil || len(a.Faults) != 1 || a.Faults[0].Reason != "assertion failed: "+want {
				t.Fatalf("%v: %s", err, l)
			}
		case <-time.After(patience):
			t.Fatalf("no report of %q: %s", want, errs.String())
		}
	}
	cancel()
	if status := <-done; status != exitOK {
		t.Errorf("status %d: %s", status, errs.String())
	}
}

type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}
