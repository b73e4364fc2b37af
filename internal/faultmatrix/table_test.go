package faultmatrix

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/asserts"
)

// verdict is what a source must call a fault.
type verdict struct {
	kind asserts.Kind
	sub  string
	// last: the guest went on after the fault the log begins with; this is the
	// last of them.
	last bool
}

func (v verdict) String() string {
	if v.sub == "" {
		return string(v.kind)
	}
	return string(v.kind) + "/" + v.sub
}

// row is a line of the table: the verdict of each source.
type row struct {
	na                      bool
	logA, logC, named, live verdict
	dump                    verdict
}

type rowKey struct{ variant, fault, arch string }

// docs is the page the table is in.
var docs = filepath.Join("..", "..", "docs", "faults.md")

var code = regexp.MustCompile("`([^`]*)`")

// table reads docs/faults.md between its marks.
func table(t *testing.T) map[rowKey]row {
	t.Helper()
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- faults by source -->")
	body, _, end := strings.Cut(rest, "<!-- end -->")
	if !ok || !end {
		t.Fatalf("%s has no table of faults by source", docs)
	}
	out := map[rowKey]row{}
	for _, line := range strings.Split(body, "\n") {
		cols := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cols) != 8 || strings.HasPrefix(strings.TrimSpace(cols[0]), "-") || strings.Contains(cols[0], "boot options") {
			continue
		}
		for i := range cols {
			cols[i] = strings.TrimSpace(cols[i])
		}
		m := code.FindStringSubmatch(cols[0])
		if m == nil {
			t.Errorf("no boot options in %q", line)
			continue
		}
		key := rowKey{variant: strings.Trim(strings.Replace(cols[1], "–", "", 1), "`"), fault: m[1], arch: cols[2]}
		r := row{na: cols[3] == "n/a"}
		if !r.na {
			for i, v := range []*verdict{&r.logA, &r.logC, &r.named, &r.live, &r.dump} {
				*v = parseVerdict(cols[3+i])
			}
		}
		if _, twice := out[key]; twice {
			t.Errorf("%v stands there twice", key)
		}
		out[key] = r
	}
	return out
}

func parseVerdict(s string) verdict {
	s, last := strings.CutSuffix(s, " †")
	kind, sub, _ := strings.Cut(s, "/")
	return verdict{kind: asserts.Kind(kind), sub: sub, last: last}
}

// agrees says that a tells the same as b, or less.
func (a verdict) agrees(b verdict) bool {
	if a.kind == asserts.UnknownTrap {
		return true
	}
	if a.kind == asserts.InvalidOpcode && a.sub == "" {
		// Compilers' checks end in one; the bytes tell which.
		return b.kind == asserts.InvalidOpcode || b.kind == asserts.UndefinedBehavior || b.kind == asserts.ControlFlowIntegrity
	}
	return a.kind == b.kind && (a.sub == b.sub || a.sub == "" || b.sub == "" || a.sub == asserts.SubOutOfBounds)
}

// TestTable: the sources do not contradict one another, every fault of the guest
// has a row, and every row a fault.
func TestTable(t *testing.T) {
	rows := table(t)
	for key, r := range rows {
		if r.na {
			continue
		}
		for name, v := range map[string]verdict{"log, screen a": r.logA, "log, screen c": r.logC, "log and image": r.named, "dump": r.dump} {
			if !v.last && !r.live.last && !v.agrees(r.live) {
				t.Errorf("%v: the %s says %s, the live machine %s", key, name, v, r.live)
			}
		}
		if r.dump.kind != r.live.kind || r.dump.last != r.live.last {
			t.Errorf("%v: the dump says %s, the live machine %s", key, r.dump, r.live)
		}
		if !r.logA.agrees(r.named) || !r.logC.agrees(r.named) {
			t.Errorf("%v: with the image the log says %s, without %s and %s", key, r.named, r.logA, r.logC)
		}
	}
	for _, c := range cells() {
		for _, arch := range archs {
			key := rowKey{c.variant, c.key(), arch}
			if _, ok := rows[key]; !ok {
				t.Errorf("%v is not in the table", key)
			}
			delete(rows, key)
		}
	}
	for key := range rows {
		t.Errorf("%v is in the table and no fault that is tested", key)
	}
	if text, err := os.ReadFile(filepath.Join("..", "..", "guest", "app", "faults.c")); err != nil {
		t.Error(err)
	} else {
		for _, m := range regexp.MustCompile(`\{ "(\w+)", fault_`).FindAllStringSubmatch(string(text), -1) {
			if !tested(m[1]) {
				t.Errorf("the guest's fault=%s is not tested", m[1])
			}
		}
	}
}

func tested(fault string) bool {
	for _, c := range cells() {
		if c.fault == fault {
			return true
		}
	}
	return false
}
