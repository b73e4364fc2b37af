package unikraft

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ukdbg/ukdbg/kernel"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
)

// mimallocSource returns a folder of the user's cache with mimalloc's sources,
// which the distribution's package archive gives at the first use on a machine.
func mimallocSource(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "ukdbg", "mimalloc-source")
	if _, err := os.Stat(filepath.Join(dir, "src", "static.c")); err == nil {
		return dir
	}
	script := `set -e
mkdir -p "$1"; cd "$(mktemp -d "$1/mimalloc-XXXXXX")"
mkdir -p parts lists/partial archives/partial
cp /etc/apt/sources.list.d/* parts/ 2>/dev/null || true
cp /etc/apt/sources.list parts/zz.list 2>/dev/null || true
sed -i -E 's/^Types: *deb *$/Types: deb-src/; s/^deb /deb-src /' parts/*
set -- "$1" -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$PWD/parts" -o Dir::State::lists="$PWD/lists" -o Dir::Cache::archives="$PWD/archives" -o APT::Sandbox::User=
d=$1; shift
apt-get "$@" update
apt-get "$@" --download-only source mimalloc
mkdir out; tar -xf mimalloc_*.orig.tar.* -C out --strip-components=1
mv -T out "$d/mimalloc-source" || [ -e "$d/mimalloc-source/src/static.c" ]
rm -rf "$PWD"`
	if out, err := exec.Command("sh", "-c", script, "sh", filepath.Dir(dir)).CombinedOutput(); err != nil {
		t.Fatalf("mimalloc's sources: %v\n%s", err, out)
	}
	return dir
}

// process is the memory of a program that stands.
type process struct{ *os.File }

func (p process) ReadMemory(_ context.Context, b []byte, addr uint64) (int, error) {
	n, err := p.ReadAt(b, int64(addr&(1<<63-1)))
	if err != nil {
		err = &target.FaultError{Addr: addr + uint64(n), Why: err.Error()}
	}
	return n, err
}

// buildMimalloc builds testdata/mimalloc.c with mimalloc's own code.
func buildMimalloc(t *testing.T, flags []string) (app string) {
	t.Helper()
	src := mimallocSource(t)
	app = filepath.Join(t.TempDir(), "app")
	args := append([]string{"-g", "-O1", "-static", "-no-pie", "-DNDEBUG", "-I", filepath.Join(src, "include"), "-o", app,
		filepath.Join("testdata", "mimalloc.c"), filepath.Join(src, "src", "static.c"), "-lpthread"}, flags...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return app
}

// realMimalloc runs the program until it stops, and returns what ukdbg tells of
// its heap and what the program said.
func realMimalloc(t *testing.T, app, how string) (kernel.Allocator, uint64) {
	t.Helper()
	cmd := exec.Command(app, how)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	said, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it did not stop: %v %v", status, err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mem.Close() })
	b, err := os.ReadFile(app)
	if err != nil {
		t.Fatal(err)
	}
	img, err := symbolizer.OpenBytes("mimalloc", b)
	if err != nil {
		t.Fatal(err)
	}
	types, err := ctype.New(img)
	if err != nil {
		t.Fatal(err)
	}
	k, err := New(Config{Image: FromSymbolizer(img, types), Memory: process{mem}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := k.Heap(context.Background())
	if err != nil || len(h.Allocators) != 1 {
		t.Fatalf("%+v, %v", h, err)
	}
	return h.Allocators[0], said
}

// TestRealMimalloc: the pages of mimalloc's own code hold as much as the program
// asked its allocator for, also where links are encoded, and a write into a freed
// block is found.
func TestRealMimalloc(t *testing.T) {
	for name, flags := range map[string][]string{"plain": nil, "secure": {"-DMI_SECURE=4"}} {
		t.Run(name, func(t *testing.T) {
			app := buildMimalloc(t, flags)
			a, live := realMimalloc(t, app, "")
			if a.Kind != "mimalloc" || !a.Known || a.Used != live || a.Free == 0 || a.Largest == 0 || a.Total != a.Used+a.Free || len(a.Corrupt) > 0 {
				t.Errorf("%d bytes are in use by the program's count: %+v", live, a)
			}
			a, block := realMimalloc(t, app, "after")
			if a.Known {
				t.Errorf("damaged, and sums are told: %+v", a)
			}
			corrupt(t, a, "which is no free block of it", block)
		})
	}
}
