package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A verb that is run is the only one built, so its name must be known before.
func TestVerbsHaveTheirNames(t *testing.T) {
	status, help, _ := verb(t, "", "help")
	for _, c := range verbs() {
		if got := c.make(osEnv()).Name(); got != c.name {
			t.Errorf("%s is listed as %s", got, c.name)
		}
		if status != exitOK || !strings.Contains(help, "\n  "+c.name+" ") {
			t.Errorf("help does not list %s:\n%s", c.name, help)
		}
		if got := newRoot(osEnv(), []string{c.name}).Commands(); len(got) != 1 {
			t.Errorf("%d commands are built to run %s", len(got), c.name)
		}
	}
}

// What is linked is initialised at each start, wanted or not. Times depend on
// the machine's load, allocations do not: they stand for the work done.
func TestStartCost(t *testing.T) {
	const (
		mostAllocs, mostBytes       = 100, 16 << 10 // one package
		allAllocs, allBytes   int64 = 700, 150 << 10
	)
	// Above the budget of one package, and why it is borne.
	known := map[string]string{
		"github.com/ianlancetaylor/demangle": "its tables of operators and builtin types",
		"encoding/xml":                       "its table of HTML's entities, for libvirt's descriptions",
	}
	cmd := exec.Command(binary, "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace strings.Builder
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var packages, sumAllocs, sumBytes int64
	for line := range strings.Lines(trace.String()) {
		// init net/http @1.9 ms, 0.036 ms clock, 4712 bytes, 49 allocs
		var name string
		var at, took float64
		var bytes, allocs int64
		if n, _ := fmt.Sscanf(line, "init %s @%f ms, %f ms clock, %d bytes, %d allocs", &name, &at, &took, &bytes, &allocs); n != 5 {
			continue
		}
		packages++
		sumAllocs += allocs
		sumBytes += bytes
		if (allocs > mostAllocs || bytes > mostBytes) && known[name] == "" {
			t.Errorf("%s allocates %d times, %d bytes, at each start (%.3f ms): link it only where it is used, see ARCHITECTURE.md, \"Starting is cheap\"", name, allocs, bytes, took)
		}
	}
	t.Logf("%d packages allocate %d times, %d bytes", packages, sumAllocs, sumBytes)
	if packages < 50 {
		t.Fatalf("inittrace tells of %d packages only:\n%s", packages, trace.String())
	}
	if sumAllocs > allAllocs || sumBytes > allBytes {
		t.Errorf("all packages allocate %d times, %d bytes, at each start; the budget is %d times, %d bytes", sumAllocs, sumBytes, allAllocs, allBytes)
	}
}

// Packages that were measured and are too dear to be linked, allocating or not.
func TestNothingHeavyIsLinked(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "github.com/ukdbg/ukdbg/exporters/otlp") {
		t.Fatalf("go list names only %d packages", len(deps))
	}
	for _, dep := range deps {
		for heavy, cost := range map[string]string{
			"github.com/google/pprof":             "compiles its regular expressions, 0.3 ms",
			"google.golang.org/protobuf":          "opens and reads the running program, 0.1 ms",
			"google.golang.org/grpc":              "2 to 3 ms",
			"google.golang.org/genproto":          "registers its messages",
			"go.opentelemetry.io/collector":       "registers feature gates by regular expression, links json-iterator, 0.3 ms",
			"go.opentelemetry.io/otel/sdk":        "brings gRPC's and protobuf's packages",
			"github.com/prometheus/client_golang": "registers collectors, links protobuf",
			"go.opentelemetry.io/proto":           "registers its messages",
		} {
			if dep == heavy || strings.HasPrefix(dep, heavy+"/") {
				t.Errorf("linked: %s (%s)", dep, cost)
			}
		}
	}
}
