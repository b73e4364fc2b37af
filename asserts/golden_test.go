package asserts

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the goldens; check each by hand against its log")

func scanAll(t testing.TB, log []byte) []*Fault {
	t.Helper()
	sc := NewScanner(bytes.NewReader(log))
	var out []*Fault
	for sc.Scan() {
		out = append(out, sc.Fault())
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func readLog(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "logs", name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// logNames returns the names of the logs in testdata.
func logNames(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "logs", "*.log"))
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d logs in testdata, %v", len(paths), err)
	}
	var names []string
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(p), ".log"))
	}
	return names
}

// marshal writes faults as a golden holds them.
func marshal(t *testing.T, faults []*Fault) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(faults); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestGoldens(t *testing.T) {
	for _, name := range logNames(t) {
		t.Run(name, func(t *testing.T) {
			got := marshal(t, scanAll(t, readLog(t, name)))
			golden := filepath.Join("testdata", "logs", name+".json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s:\n%s", golden, got)
			}
		})
	}
}

// TestFacts checks by hand what each log says, apart from the goldens.
func TestFacts(t *testing.T) {
	type fact struct {
		kind         Kind
		sub          string
		thread       string
		pc, addr     Word
		frames       int
		consequences int
	}
	none := Word{}
	for name, want := range map[string][]fact{
		"0.15-0.16-cloud-crash": {
			{PageFault, SubNotPresent, "init", Value(0x13e35c), Value(0x401f9bffc), 2, 0},
			{PageFault, SubNullCall, "perl", Value(0), Value(0), 3, 0}},
		"0.17-arm64-brk-0x5512-ubsantrap":    {{UndefinedBehavior, SubOutOfBounds, "", Value(0x4011e214), none, 1, 0}},
		"0.17-arm64-data-abort-write":        {{PageFault, SubNullDereference, "", Value(0x4011e228), Value(8), 1, 0}},
		"0.17-gp-fault-thread-caller":        {{GeneralProtection, "", "init", Value(0x1c2842), none, 1, 0}},
		"0.17-x86-assert-ansi-thread-caller": {{Assertion, "", "init", none, none, 1, 0}},
		"0.17-x86-assertion":                 {{Assertion, "", "", none, none, 0, 0}},
		"0.17-x86-gpf-trap13":                {{GeneralProtection, "", "", Value(0x156dd5), none, 1, 0}},
		"0.17-x86-page-fault-null-store":     {{PageFault, SubNullDereference, "", Value(0x156d85), none, 3, 0}},
		"0.17-x86-ssp":                       {{StackSmash, "", "", none, none, 0, 0}},
		"0.17-x86-ubsan-then-pf":             {{UndefinedBehavior, "signed-integer-overflow", "", none, none, 0, 5}},
		"0.17-x86-ud1-ubsantrap-cfi2":        {{InvalidOpcode, "", "", Value(0x156d7e), none, 1, 0}},
		"0.17-x86-uk_crash-custom":           {{ExplicitCrash, "", "", none, none, 0, 0}},
		"0.18-ukvmem-pf":                     {{PageFault, SubNullDereference, "", Value(0x1016fd662d), Value(0), 1, 0}},
		"0.20-crash-screen":                  {{UnknownTrap, "", "", Value(0x101700662d), none, 1, 0}},
		"0.20-joined-cut":                    {{UnknownTrap, "", "", Value(0x100d84322a), none, 1, 0}},
		"0.21-nul-bytes-as-spaces":           {{ExplicitCrash, "", "", Value(0x113413), none, 1, 0}},
		"0.21-nul-assert-screen":             {{Assertion, "", "", Value(0x113413), none, 2, 0}},
		"0.6-ubsan":                          {{UndefinedBehavior, "integer-overflow", "", none, none, 0, 0}},
		"assert-truncated":                   {{Assertion, "", "init", none, none, 0, 0}},
		"cfi-then-trap":                      {{ControlFlowIntegrity, SubKCFI, "", Value(0x10a3f2), none, 1, 0}},
		"flexos-pkey":                        {{ProtectionKey, SubAccessDisabled, "", Value(0x10a3f2), Value(0x402008), 1, 0}},
		"flexos-gate":                        {{ProtectionKey, SubGate, "", none, none, 0, 0}},
		"guard-page":                         {{StackOverflow, SubGuardPage, "", Value(0x1234ab), Value(0x1000201ff8), 1, 0}},
		"interleaved-two-boots": {
			{PageFault, SubNullCall, "http", Value(0), none, 2, 1},
			{Assertion, "", "main", none, none, 0, 0}},
		"kasan-pr191":                   {{AddressSanitizer, SubOutOfBounds, "", none, Value(0x25b01b), 0, 0}},
		"kasan-text-overlong-truncated": {{AddressSanitizer, SubGlobalOverflow, "", none, Value(0x10012345678), 0, 0}},
		"0.17-x86-jump-nested-dump":     {{PageFault, SubWildJump, "worker-2", Value(0x6b6b6b6b6b68), none, 5, 1}},
		"screen-arm64":                  {{PageFault, SubNotPresent, "worker-1", Value(0x4011e228), none, 2, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			faults := scanAll(t, readLog(t, name))
			if len(faults) != len(want) {
				t.Fatalf("%d faults, want %d", len(faults), len(want))
			}
			for i, f := range faults {
				got := fact{f.Kind, f.Subkind, f.Thread, f.PC, f.Address, len(f.Backtrace), len(f.Consequences)}
				if got != want[i] {
					t.Errorf("fault %d:\n got %+v\nwant %+v", i, got, want[i])
				}
			}
		})
	}
}
