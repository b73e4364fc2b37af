package otlp_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestNoHeavyDependencies: what this package links, every start of ukdbg pays
// for. A gRPC library costs 2 to 3 ms of initialisation, the collector's pdata 0.3.
func TestNoHeavyDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("go list names %d packages only", len(deps))
	}
	for _, dep := range deps {
		for _, heavy := range []string{"google.golang.org/", "go.opentelemetry.io/collector", "go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/proto"} {
			if strings.Contains(dep, heavy) {
				t.Errorf("linked: %s", dep)
			}
		}
	}
}
