package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/internal/fakevmm"
)

// What the agent watches: idle guests, each a process with its RAM in a file and a
// monitor that answers as QEMU did.
const (
	fleetSize   = 200
	fleetSettle = 45 * time.Second // until all are known and nothing is new
	fleetWatch  = time.Minute
)

// fleetImages are the images of the fleet.
var fleetImages = [...]string{
	"ukguest-x86_64", "ukguest-x86_64-nofp", "ukguest-x86_64-pie", "ukguest-x86_64-ring", "ukguest-x86_64-smalltrace",
	"ukguest-x86_64-ssp", "ukguest-x86_64-ubsan", "ukguest-arm64", "ukguest-arm64-ring", "ukguest-arm64-nofp",
}

// watchFleet measures what the agent costs where nothing happens.
func watchFleet(page *strings.Builder, ukdbg, dir string) (err error) {
	dir = filepath.Join(dir, "fleet")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var snaps []fakevmm.Snapshot
	for _, name := range fleetImages {
		s, err := capture(dir, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		snaps = append(snaps, s)
	}
	var fleet []*fakevmm.VM
	defer func() {
		for _, vm := range fleet {
			err = errors.Join(err, vm.Close())
		}
	}()
	add := func(i int) error {
		own := filepath.Join(dir, strconv.Itoa(i))
		if err := os.Mkdir(own, 0o700); err != nil {
			return err
		}
		console := filepath.Join(own, "console")
		if err := os.WriteFile(console, []byte("ukguest: up\n"), 0o600); err != nil {
			return err
		}
		vm, err := fakevmm.Start(snaps[i%len(snaps)], fakevmm.Options{Name: fmt.Sprintf("bench-%d", i), Dir: own, Shared: true, Console: console})
		if err == nil {
			fleet = append(fleet, vm)
		}
		return err
	}
	for i := range fleetSize {
		if err := add(i); err != nil {
			return err
		}
	}
	a, err := startAgent(ukdbg, dir, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.await(fleetSize, time.Minute); err != nil {
		return err
	}
	time.Sleep(fleetSettle)
	before, err := a.cpu()
	if err != nil {
		return err
	}
	time.Sleep(fleetWatch)
	after, err := a.cpu()
	if err != nil {
		return err
	}
	memory, err := a.memory()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := add(fleetSize); err != nil {
		return err
	}
	if err := a.await(fleetSize+1, time.Minute); err != nil {
		return err
	}
	seen := time.Since(began)
	fmt.Fprintf(page, "| agent, %d idle guests of %d images, %v: part of one CPU | %.2f %% | parca-agent claims ≤ 1 %% | – | at most 5 %% |\n",
		fleetSize, len(fleetImages), fleetWatch, 100*(after-before).Seconds()/fleetWatch.Seconds())
	fmt.Fprintf(page, "| … its memory, most so far, MiB | %.0f | – | – | at most 300 |\n", float64(memory)/(1<<20))
	fmt.Fprintf(page, "| … until a new guest is seen, s | %.1f | – | – | at most 5 |\n", seen.Seconds())
	return nil
}

// capture boots an image, lets it serve, and takes a snapshot of it.
func capture(dir, name string) (fakevmm.Snapshot, error) {
	img, err := images.Find(name)
	if err != nil {
		return fakevmm.Snapshot{}, err
	}
	own := filepath.Join(dir, name)
	if err := os.Mkdir(own, 0o700); err != nil {
		return fakevmm.Snapshot{}, err
	}
	kernel, _, err := img.Extract(own)
	if err != nil {
		return fakevmm.Snapshot{}, err
	}
	s := fakevmm.Snapshot{Program: "qemu-system-x86_64", Kernel: kernel}
	ram, monitor, console := filepath.Join(own, "qemu.ram"), filepath.Join(own, "qmp"), filepath.Join(own, "console")
	args := []string{"-cpu", "max", "-m", "64M", "-display", "none", "-no-reboot", "-net", "none", "-serial", "file:" + console, "-kernel", kernel, "-append", "bench",
		"-qmp", "unix:" + monitor + ",server=on,wait=off", "-object", "memory-backend-file,id=m,size=64M,share=on,mem-path=" + ram}
	machine := "pc,memory-backend=m"
	if strings.Contains(name, "arm64") {
		s.Program, s.Base, machine = "qemu-system-aarch64", 0x4000_0000, "virt,memory-backend=m"
	}
	q := exec.Command(s.Program, append(args, "-machine", machine)...)
	if err := q.Start(); err != nil {
		return s, err
	}
	defer q.Wait() // it is killed
	defer q.Process.Kill()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		text, err := os.ReadFile(console)
		if err == nil && strings.Contains(string(text), "requests served") {
			break
		}
		if time.Now().After(deadline) {
			return s, errors.New("the guest did not come up in a minute")
		}
	}
	s, err = fakevmm.Capture(context.Background(), monitor, ram, dir, s)
	return s, errors.Join(err, os.Remove(ram))
}

// watcher is an agent that runs, and a receiver for what it sends.
type watcher struct {
	cmd      *exec.Cmd
	receiver net.Listener

	mu    sync.Mutex
	found int
	log   strings.Builder
}

// startAgent starts one that watches the bench's guests alone; more goes into its
// configuration.
func startAgent(ukdbg, dir, more string) (*watcher, error) {
	a := &watcher{}
	var err error
	if a.receiver, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go http.Serve(a.receiver, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:errcheck // it ends with the listener
		io.Copy(io.Discard, r.Body) //nolint:errcheck // the agent's loss, which it counts
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	text := fmt.Sprintf("guests: {include: [\"bench-*\"]}\nlisten: {address: \"127.0.0.1:0\"}\nlimits: {spool: %q}\nexport:\n  otlp:\n  - url: http://%s\n    signals: [traces, metrics, logs, profiles]\n%s",
		filepath.Join(dir, "spool"), a.receiver.Addr(), more)
	file := filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	a.cmd = exec.Command(ukdbg, "agent", "--config", file)
	a.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+dir, "UKDBG_CACHE="+filepath.Join(dir, "cache"))
	out, err := a.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		for sc := bufio.NewScanner(out); sc.Scan(); {
			a.mu.Lock()
			if strings.HasPrefix(sc.Text(), "found: ") {
				a.found++
			}
			fmt.Fprintln(&a.log, sc.Text())
			a.mu.Unlock()
		}
	}()
	return a, nil
}

// await waits until the agent has found so many guests.
func (a *watcher) await(n int, limit time.Duration) error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		a.mu.Lock()
		found := a.found
		a.mu.Unlock()
		if found >= n {
			return nil
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Errorf("the agent found %d of %d guests: %s", a.found, n, a.log.String())
}

// cpu is the CPU time the agent used so far.
func (a *watcher) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, i := range []int{11, 12} { // utime, stime: proc_pid_stat(5)
		n, err := strconv.Atoi(f[i])
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// memory is the most it had resident so far, in bytes.
func (a *watcher) memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10, err
}

func (a *watcher) close() error {
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return errors.Join(a.cmd.Wait(), a.receiver.Close())
}
