package asserts

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSARIF validates what is written for the faults of every log, by the
// OASIS schema (internal/sarifcheck, a module of its own).
func TestSARIF(t *testing.T) {
	dir, err := filepath.Abs("../internal/sarifcheck")
	if err != nil {
		t.Fatal(err)
	}
	checker := filepath.Join(t.TempDir(), "sarifcheck")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", dir, "-o", checker, ".")
	build.Env = append(build.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the validator: %v\n%s", err, out)
	}
	valid := func(log []byte) error {
		cmd := exec.CommandContext(t.Context(), checker)
		cmd.Dir = dir
		cmd.Stdin = bytes.NewReader(log)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("%.2000s", out)
		}
		return err
	}
	var all []Named
	for _, name := range logNames(t) {
		for _, f := range scanAll(t, readLog(t, name)) {
			all = append(all, Named{Fault: f})
		}
	}
	for _, tt := range formatTests {
		for _, f := range scanText(t, tt.log) {
			all = append(all, Named{Fault: f, Names: aFunction{}})
		}
	}
	if len(all) < 60 {
		t.Fatalf("%d faults", len(all))
	}
	var out bytes.Buffer
	if err := WriteSARIF(&out, all, SARIFOptions{Log: "logs/a b.log", Version: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := valid(out.Bytes()); err != nil {
		t.Errorf("the log is not valid: %v", err)
	}
	// No fault at all, and no log's name.
	var none bytes.Buffer
	if err := WriteSARIF(&none, nil, SARIFOptions{}); err != nil || valid(none.Bytes()) != nil {
		t.Errorf("an empty log is not valid, %v", err)
	}
	// The validator does find what is wrong.
	if valid(bytes.Replace(out.Bytes(), []byte(`"ruleIndex": 0`), []byte(`"ruleIndex": -2`), 1)) == nil ||
		valid(bytes.Replace(out.Bytes(), []byte(`"driver"`), []byte(`"driven"`), 1)) == nil {
		t.Error("the validator finds nothing")
	}
}

type aFunction struct{}

func (aFunction) Frames(lookup uint64) []Frame {
	return []Frame{{Function: "shop_run", File: "/src/shop run.c", Line: int(lookup%99) + 1}}
}

// TestSARIFContent: location, stack, fingerprint and level of a result.
func TestSARIFContent(t *testing.T) {
	f := scanText(t, "one\n[    0.1] x\nCRIT: [app] <a b.c @ 7> Assertion failure: x < 3 \x1b[31m\n")[0]
	w := scanText(t, "CRIT: [app] <a.c @ 8> Condition warning: y\n")[0]
	var out bytes.Buffer
	if err := WriteSARIF(&out, []Named{{Fault: f}, {Fault: w}, {Fault: f, Names: aFunction{}}}, SARIFOptions{Log: "/var/log/c.log"}); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if len(run.Tool.Driver.Rules) != 2 || len(run.Results) != 3 {
		t.Fatalf("%d rules, %d results", len(run.Tool.Driver.Rules), len(run.Results))
	}
	r := run.Results[0]
	if r.Level != "error" || run.Results[1].Level != "warning" || run.Results[1].RuleIndex != 1 || run.Results[2].RuleIndex != 0 {
		t.Errorf("levels or rules: %+v", run.Results)
	}
	at := r.Locations[0].Physical
	if at.Artifact.URI != "a%20b.c" || at.Region.StartLine != 7 {
		t.Errorf("location %+v %+v", at.Artifact, at.Region)
	}
	log0 := r.Related[0].Physical
	if log0.Artifact.URI != "file:///var/log/c.log" || log0.Region.StartLine != 3 {
		t.Errorf("log %+v %+v", log0.Artifact, log0.Region)
	}
	if r.Fingerprints[sarifFingerprint] != f.Fingerprint(nil) {
		t.Errorf("fingerprint %v", r.Fingerprints)
	}
	if strings.Contains(r.Message.Text, "\x1b") || !strings.Contains(r.Message.Text, "x < 3") {
		t.Errorf("message %q", r.Message.Text)
	}
}
