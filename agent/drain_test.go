package agent

import (
	"io"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/tailsample"
	"github.com/ukdbg/ukdbg/vmm"
)

// Of a guest that is gone the spans are sent that waited for the end of their trace,
// which will not come.
func TestGoneGuestIsFlushed(t *testing.T) {
	sink := newCollector(t)
	c := quick(t, "x")
	sink.to(c)
	a := &agent{cfg: c, log: newLogger(io.Discard), began: time.Now()}
	out, err := newOutputs(c, "test", a.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	out.begin()
	a.fleet.setOutputs(c, out, nil)
	g := &guest{proc: vmm.Process{PID: 1, Name: "x"}, instance: "i"}
	g.trace.sampler = tailsample.New(tailsample.Policy{Keep: 1}, nil, "i")
	if sent := g.trace.sampler.Add(time.Now(), []exporters.Span{{ID: 2, Root: 1, Name: "vfs_read", Start: 1e18, End: 1e18 + 5}}); len(sent) != 0 {
		t.Fatalf("it does not wait: %v", sent)
	}
	a.release(g)
	if err := out.close(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	var names []string
	spansOf(t, sink, func(_, _ string, s ptrace.Span) { names = append(names, s.Name()) })
	if len(names) != 1 || names[0] != "vfs_read" {
		t.Errorf("spans %v", names)
	}
}
