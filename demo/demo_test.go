package demo

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guest/images"
)

// The embedded guest must be the one the repository builds: make demo-data.
func TestDataIsThePrebuiltGuest(t *testing.T) {
	want := map[string]func(string) ([]byte, error){bootFile: images.Boot, debugFile: images.Debug}
	for file, prebuilt := range want {
		path, err := unpack(t.TempDir(), file, "file")
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		image, err := prebuilt(imageName)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, image) {
			t.Errorf("%s is not guest/prebuilt's: run 'make demo-data'", file)
		}
	}
}

func walkRoad(t *testing.T, opt Options) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var out bytes.Buffer
	opt.Out = &out
	if err := Run(ctx, opt); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

func wantAll(t *testing.T, out string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(out, w) {
			t.Errorf("the demo does not show %q", w)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestLive(t *testing.T) {
	if _, err := exec.LookPath(qemu); err != nil {
		t.Fatalf("%v: run 'make tools'", err)
	}
	out := walkRoad(t, Options{})
	wantAll(t, out,
		"image matches the guest", "worker-1", "waits for", "burner", // threads with stacks
		"served = ", "struct request *tqe_next", // values and types
		"request_serve", "records in", // the trace
		"Temporary breakpoint 1", "server.c", // running
		"samples in", "burn_60", // the profile
		"spans.otlp", "guest resumed", "memory as found",
		"through a null pointer", "fault_null (faults.c:", // the crash
		"from nothing but the console log",
	)
}

func TestDump(t *testing.T) {
	out := walkRoad(t, Options{Dump: true})
	wantAll(t, out, "image matches the guest", "through a null pointer", "fault_null", "worker-1", "queue_get",
		"request_serve", "made of a dump", "spans.otlp")
	if strings.Contains(out, "guest resumed") {
		t.Error("a dump was resumed")
	}
}
