package keep

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"github.com/ukdbg/ukdbg/internal/monitortest"
	"github.com/ukdbg/ukdbg/qmp"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/guard"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/vmm"
)

const patience = 60 * time.Second

// holdEnv has the test's program hold a guest until it is killed.
const holdEnv = "UKDBG_TEST_HOLD"

func TestMain(m *testing.M) {
	if guard.IsMain(os.Args) {
		os.Exit(guard.Main(os.Args))
	}
	if pid, err := strconv.Atoi(os.Getenv(holdEnv)); err == nil {
		p, err := vmm.ByPID(pid)
		var k *Keeper
		if err == nil {
			k, err = New(context.Background(), options(os.Getenv("UKDBG_TEST_DIR")))
		}
		if err == nil {
			err = k.Hold(context.Background(), &p)
		}
		fmt.Println("held", err)
		time.Sleep(patience)
		return
	}
	os.Exit(m.Run())
}

func options(dir string) Options {
	return Options{Dir: filepath.Join(dir, "dumps"), Guard: guard.Options{Command: guard.Self(), State: filepath.Join(dir, "state")}, Writer: "test"}
}

// boot starts a guest and returns its VMM.
func boot(t *testing.T, more string) (*guesttest.VM, *vmm.Process) {
	t.Helper()
	// On x86 the guest powers off by a device that ends QEMU at once, whatever its
	// monitor was told.
	g := guesttest.Start(t, guesttest.Options{Image: "ukguest-arm64", QMP: true, MemMiB: 64, Append: "rate=100 " + more})
	p, err := vmm.ByPID(g.Pid())
	if err != nil {
		t.Fatal(err)
	}
	return g, &p
}

func opener(g *guesttest.VM) func(context.Context) (*ukdbg.Session, error) {
	return func(ctx context.Context) (*ukdbg.Session, error) {
		return ukdbg.Open(ctx, ukdbg.Options{Target: fmt.Sprintf("pid:%d", g.Pid()), Image: g.Debug})
	}
}

func waitEnded(t *testing.T, k *Keeper, p *vmm.Process) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		state, ended, err := k.Ended(t.Context(), p)
		if err != nil {
			t.Fatalf("the guest is not kept: %v", err)
		}
		if ended {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the guest does not end: %s", state)
		}
	}
}

// A guest that dies of a fault, by which its VMM would end, is kept until a dump
// of it is made, and ends then; the dump tells how it died.
func TestKeep(t *testing.T) {
	g, p := boot(t, "fault=null after=300 crash=exit")
	dir := t.TempDir()
	k, err := New(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is held already
		if err := k.Hold(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	waitEnded(t, k, p)
	kept, err := k.Collect(t.Context(), p, opener(g))
	if err != nil {
		t.Fatal(err)
	}
	g.WaitExit(t, patience)
	if kept.Fault == "" || !kept.Stats.Minimal || kept.Stats.Size == 0 || kept.Stats.Size > 4<<20 {
		t.Errorf("%+v", kept)
	}
	for path, mode := range map[string]os.FileMode{kept.Dump: 0o600, filepath.Dir(kept.Dump): 0o700} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, st, err)
		}
	}
	s, err := ukdbg.Open(t.Context(), ukdbg.Options{Target: "core:" + kept.Dump, Image: g.Debug})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	if rep, err := s.Fault(t.Context()); err != nil || rep.Fault.Reason != kept.Fault {
		t.Errorf("%v, %v", rep.Text, err)
	}
	if _, _, err := k.Ended(t.Context(), p); !errors.Is(err, ErrNotHeld) {
		t.Error(err)
	}
	left(t, dir)
}

// left checks that no journal is left.
func left(t *testing.T, dir string) {
	t.Helper()
	entries, _ := os.ReadDir(filepath.Join(dir, "state", "guard"))
	for _, e := range entries {
		if e.IsDir() {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// One that just ends is not kept, and leaves nothing.
func TestOrdinaryEnd(t *testing.T) {
	g, p := boot(t, "exit=300")
	dir := t.TempDir()
	k, err := New(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Hold(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	waitEnded(t, k, p)
	kept, err := k.Collect(t.Context(), p, opener(g))
	if err != nil || kept.Dump != "" || kept.Fault != "" {
		t.Errorf("%+v, %v", kept, err)
	}
	g.WaitExit(t, patience)
	left(t, dir)
}

// A guest whose dump cannot be made ends all the same.
func TestNoDump(t *testing.T) {
	g, p := boot(t, "fault=null after=300 crash=exit")
	opt := options(t.TempDir())
	opt.MaxBytes = 2000
	k, err := New(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Hold(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	waitEnded(t, k, p)
	if kept, err := k.Collect(t.Context(), p, opener(g)); !errors.Is(err, ErrTooLarge) || kept.Dump != "" {
		t.Errorf("%+v, %v", kept, err)
	}
	g.WaitExit(t, patience)
	if entries, err := os.ReadDir(opt.Dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// Who holds guests gives them back: when it closes, and when it is killed.
func TestGivenBack(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		g, p := boot(t, "")
		k, err := New(t.Context(), options(t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Hold(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := k.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.QMP(t, "system_reset", nil) // with -no-reboot a reset is the end
		g.WaitExit(t, patience)
	})
	t.Run("killed", func(t *testing.T) {
		g, p := boot(t, "")
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", holdEnv, p.PID), "UKDBG_TEST_DIR="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held <nil>\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			if entries, _ := os.ReadDir(filepath.Join(dir, "state", "guard")); len(dirs(entries)) == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("the guard does not end its work")
			}
		}
		g.QMP(t, "system_reset", nil)
		g.WaitExit(t, patience)
	})
}

func dirs(entries []os.DirEntry) (out []string) {
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

func TestRefused(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Options{Dir: open}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Error(err)
	}
	k, err := New(t.Context(), options(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Hold(t.Context(), &vmm.Process{PID: 1, Kind: vmm.Firecracker}); !errors.Is(err, ErrNoMonitor) {
		t.Error(err)
	}
	for _, args := range [][]string{{"-no-shutdown"}, {"--no-shutdown"}, {"-action", "panic=none,shutdown=pause"}, {"--action", "shutdown=pause"}} {
		if err := k.Hold(t.Context(), &vmm.Process{PID: 1, Kind: vmm.QEMU, Args: append([]string{"qemu"}, args...)}); !errors.Is(err, ErrKeptAnyway) {
			t.Errorf("%v: %v", args, err)
		}
	}
	// A process that names the monitor of another.
	g, p := boot(t, "")
	stranger := *p
	stranger.PID = os.Getpid()
	if err := k.Hold(t.Context(), &stranger); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("is of process %d, not of %d", g.Pid(), stranger.PID)) {
		t.Error(err)
	}
}

// The oldest dumps go when there is no room.
func TestRoom(t *testing.T) {
	opt := options(t.TempDir())
	k, err := New(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := os.WriteFile(filepath.Join(opt.Dir, fmt.Sprintf("2026112%dT000000.000-1%s", i, dumpSuffix)), make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		most  int
		bytes int64
		left  int
	}{{4, 1000, 4}, {4, 250, 2}, {0, 250, 0}} {
		if err := k.makeRoom(c.most, c.bytes); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(opt.Dir)
		if err != nil || len(entries) != c.left || c.left > 0 && !strings.HasPrefix(entries[c.left-1].Name(), "20261124") {
			t.Errorf("%v, %v", entries, err)
		}
	}
}

// A guest whose VMM refuses is not asked again at each look, with a guard for each.
func TestRefusedOnce(t *testing.T) {
	var asked atomic.Int32
	path := monitortest.Listen(t, func(c net.Conn) {
		io.WriteString(c, `{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 5}, "package": ""}, "capabilities": []}}`+"\r\n")
		for in := bufio.NewScanner(c); in.Scan(); {
			if strings.Contains(in.Text(), "set-action") {
				asked.Add(1)
				io.WriteString(c, `{"error": {"class": "CommandNotFound", "desc": "no such command"}}`+"\r\n")
				continue
			}
			io.WriteString(c, `{"return": {}}`+"\r\n")
		}
	})
	k, err := New(t.Context(), options(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	p := &vmm.Process{PID: os.Getpid(), Kind: vmm.QEMU, Monitors: []vmm.Monitor{{Proto: vmm.QMP, Path: path}}}
	for range 3 {
		var refused *qmp.CommandError
		if err := k.Hold(t.Context(), p); !errors.As(err, &refused) {
			t.Error(err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}
