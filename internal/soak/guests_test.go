package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/asserts"
	"github.com/ukdbg/ukdbg/guest/images"
)

// fleet is a number of guests, each started again when it has ended.
type fleet struct {
	dir, boot string
	consoles  sync.Map // path → true
	lives     sync.Map // path → *life
	wg        sync.WaitGroup
}

// life is one run of a guest.
type life struct {
	began, ended time.Time
}

// extract lays the guest's image and its debug information into the folder.
func extract(t *testing.T, dir, image string) (boot, debug string) {
	t.Helper()
	img, err := images.Find(image)
	if err == nil {
		boot, debug, err = img.Extract(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	return boot, debug
}

// prefix begins the names of this test's guests: others may run on this host.
func prefix() string { return fmt.Sprintf("soak%d-", os.Getpid()) }

// run starts guest n again and again until ctx ends: each serves for a while, and
// dies of a fault, or is killed.
func (f *fleet) run(ctx context.Context, t *testing.T, n int, rnd *rand.Rand) {
	for run := 0; ctx.Err() == nil; run++ {
		// Some write into one log for ever, the others into a new one each time.
		console := filepath.Join(f.dir, fmt.Sprintf("guest%d.log", n))
		if n%2 == 1 {
			console = filepath.Join(f.dir, fmt.Sprintf("guest%d-run%d.log", n, run))
		}
		f.consoles.Store(console, true)
		const rate = 20
		served := rate * (8 + rnd.IntN(10))
		faults := []string{"null", "assert", "crash", "ud", "div"}
		word := fmt.Sprintf("rate=%d fault=%s after=%d crash=exit", rate, faults[rnd.IntN(len(faults))], served)
		limit := time.Minute
		if rnd.IntN(3) == 0 {
			limit = 10*time.Second + time.Duration(rnd.IntN(8000))*time.Millisecond
		}
		f.once(ctx, t, n, console, word, limit)
	}
}

func (f *fleet) once(ctx context.Context, t *testing.T, n int, console, words string, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// The life's end is SIGKILL, as a host's out-of-memory killer has it.
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-name", fmt.Sprintf("%s%d", prefix(), n), "-cpu", "max", "-m", "32M", "-display", "none", "-no-reboot", "-nodefaults",
		"-device", "isa-debug-exit", "-chardev", "file,id=log,append=on,path="+console, "-serial", "chardev:log",
		"-qmp", "unix:"+filepath.Join(f.dir, fmt.Sprintf("qmp%d", n))+",server=on,wait=off", "-kernel", f.boot, "-append", words)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Errorf("guest %d: %v", n, err)
		return
	}
	l := &life{began: time.Now()}
	cmd.Wait() // it dies, or is killed
	l.ended = time.Now()
	f.lives.Store(fmt.Sprintf("%s %d", console, cmd.Process.Pid), l)
}

// reports reads every console and returns how many faults each tells.
func (f *fleet) reports(t *testing.T) (faults map[string]int, all int) {
	t.Helper()
	faults = map[string]int{}
	f.consoles.Range(func(path, _ any) bool {
		file, err := os.Open(path.(string))
		if err != nil {
			return true // the guest had not begun to write
		}
		defer file.Close()
		sc := asserts.NewScanner(file)
		for sc.Scan() {
			faults[path.(string)]++
			all++
		}
		return true
	})
	return faults, all
}
