package guesttest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guest/images"
)

// startTimeout bounds the time from QEMU's start to its monitor's greeting, on a loaded machine.
const startTimeout = 60 * time.Second

// Options say what to boot and how. Only Image is needed.
type Options struct {
	Image   string   // a name of package guest/images
	Append  string   // kernel command line, see guest/README.md
	SMP     int      // CPUs; 0 is one
	MemMiB  int      // RAM; 0 is 64
	Accel   string   // "kvm", or "" for TCG
	CPU     string   // QEMU's CPU model; "" is max (under KVM on x86 qemu64)
	GDB     string   // QEMU's gdb stub: "tcp", "unix", or "" for none
	QMP     bool     // a monitor of its own for the code under test, at VM.QMPPath
	Serial2 string   // the second serial port, the in-image stub's: "pty", "tcp", "unix", or ""
	Paused  bool     // do not start the CPUs (-S)
	Args    []string // more arguments for QEMU
	UID     int      // the user QEMU runs as, and its group; 0 is this one (another needs root)
}

// VM is a running guest.
type VM struct {
	Image   images.Image
	Boot    string // path of the bootable file
	Debug   string // path of NAME.dbg
	QMPPath string // unix socket of the monitor asked for by Options.QMP
	Args    []string
	// PanicIfCrashed has QMP panic with ErrCrashed if QEMU ended by a segmentation
	// fault, instead of ending the test.
	PanicIfCrashed bool

	dir     string
	gdb     string
	serial2 string
	cmd     *exec.Cmd
	mon     *monitor
	console *log
	stderr  *log
	done    chan struct{} // closed when QEMU has ended
	state   *os.ProcessState
}

// Start boots a guest and returns when its CPUs run (or, with Paused, wait at the first instruction). It ends the test on failure.
func Start(t testing.TB, opt Options) *VM {
	t.Helper()
	img, err := images.Find(opt.Image)
	if err != nil {
		t.Fatal(err)
	}
	vm := &VM{Image: img, console: newLog(), stderr: newLog(), done: make(chan struct{})}
	// A unix socket's path is short: not t.TempDir, which holds the test's name.
	if vm.dir, err = os.MkdirTemp("", "ukvm"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(vm.dir) })
	if vm.Boot, vm.Debug, err = img.Extract(vm.dir); err != nil {
		t.Fatal(err)
	}
	if opt.UID != 0 {
		if err := giveAway(vm.dir, opt.UID); err != nil {
			t.Fatalf("boot %s as user %d: %v", opt.Image, opt.UID, err)
		}
	}
	if err := vm.start(opt); err != nil {
		t.Fatalf("boot %s: %v", opt.Image, err)
	}
	t.Cleanup(vm.Kill)
	if err := vm.connect(opt); err != nil {
		t.Fatalf("boot %s: %v\nQEMU said: %s", opt.Image, err, vm.stderr.text())
	}
	return vm
}

// giveAway makes dir and what is in it another user's.
func giveAway(dir string, uid int) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, uid)
	})
}

func (vm *VM) start(opt Options) error {
	name := map[string]string{"x86_64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}[vm.Image.Arch]
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%w: install qemu-system-x86 and qemu-system-arm (make tools)", err)
	}
	vm.Args = vm.arguments(opt)
	vm.cmd = exec.Command(path, vm.Args...)
	vm.cmd.SysProcAttr = attributes(opt.UID)
	stdout, err := vm.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if _, err := vm.cmd.StdinPipe(); err != nil { // held open: an end of input would end the console
		return err
	}
	vm.cmd.Stderr = vm.stderr
	if err := vm.cmd.Start(); err != nil {
		return err
	}
	go func() {
		io.Copy(vm.console, stdout)
		vm.cmd.Wait()
		vm.state = vm.cmd.ProcessState
		close(vm.done)
		vm.console.end()
	}()
	return nil
}

func (vm *VM) arguments(opt Options) []string {
	cpu, mem, smp := opt.CPU, opt.MemMiB, opt.SMP
	if mem == 0 {
		mem = 64
	}
	if smp == 0 {
		smp = 1
	}
	if cpu == "" {
		cpu = "max"
		if opt.Accel == "kvm" && vm.Image.Arch == "x86_64" {
			cpu = "qemu64"
		}
	}
	machine := "pc"
	if vm.Image.Arch == "arm64" {
		machine = "virt"
	}
	args := []string{"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", machine, "-cpu", cpu,
		"-m", strconv.Itoa(mem), "-smp", strconv.Itoa(smp), "-kernel", vm.Boot, "-append", opt.Append,
		"-chardev", "stdio,id=con,signal=off", "-serial", "chardev:con",
		"-chardev", "socket,id=mon,server=on,wait=off,path=" + filepath.Join(vm.dir, "mon"), "-mon", "mon,mode=control"}
	if vm.Image.Arch == "x86_64" {
		args = append(args, "-device", "isa-debug-exit")
	}
	if opt.Accel != "" {
		args = append(args, "-accel", opt.Accel)
	}
	switch opt.GDB {
	case "tcp":
		args = append(args, "-chardev", "socket,id=gdb0,host=127.0.0.1,port=0,server=on,wait=off,nodelay=on", "-gdb", "chardev:gdb0")
	case "unix":
		vm.gdb = "unix:" + filepath.Join(vm.dir, "gdb")
		args = append(args, "-chardev", "socket,id=gdb0,server=on,wait=off,path="+filepath.Join(vm.dir, "gdb"), "-gdb", "chardev:gdb0")
	}
	if opt.QMP {
		vm.QMPPath = filepath.Join(vm.dir, "qmp")
		args = append(args, "-chardev", "socket,id=qmp0,server=on,wait=off,path="+vm.QMPPath, "-mon", "qmp0,mode=control")
	}
	switch opt.Serial2 {
	case "pty":
		args = append(args, "-chardev", "pty,id=ser2")
	case "tcp":
		args = append(args, "-chardev", "socket,id=ser2,host=127.0.0.1,port=0,server=on,wait=off,nodelay=on")
	case "unix":
		vm.serial2 = "unix:" + filepath.Join(vm.dir, "ser2")
		args = append(args, "-chardev", "socket,id=ser2,server=on,wait=off,path="+filepath.Join(vm.dir, "ser2"))
	}
	if opt.Serial2 != "" {
		if vm.Image.Arch == "x86_64" {
			args = append(args, "-serial", "chardev:ser2")
		} else {
			args = append(args, "-device", "pci-serial,chardev=ser2")
		}
	}
	if opt.Paused {
		args = append(args, "-S")
	}
	return append(args, opt.Args...)
}

// connect opens the monitor and learns what QEMU chose.
func (vm *VM) connect(opt Options) error {
	var err error
	if vm.mon, err = dialMonitor(filepath.Join(vm.dir, "mon"), vm.done); err != nil {
		return err
	}
	if opt.GDB == "tcp" {
		if vm.gdb, err = vm.mon.chardev("gdb0"); err != nil {
			return err
		}
	}
	if opt.Serial2 == "tcp" || opt.Serial2 == "pty" {
		if vm.serial2, err = vm.mon.chardev("ser2"); err != nil {
			return err
		}
	}
	return nil
}

// GDBAddr is where QEMU's gdb stub listens, as a target: tcp:127.0.0.1:PORT or unix:PATH. Empty without Options.GDB.
func (vm *VM) GDBAddr() string { return vm.gdb }

// Serial2Addr is the other end of the second serial port, as a target: serial:/dev/pts/N, tcp:127.0.0.1:PORT or unix:PATH.
func (vm *VM) Serial2Addr() string { return vm.serial2 }

// Pid is QEMU's process id.
func (vm *VM) Pid() int { return vm.cmd.Process.Pid }

// Kill ends QEMU at once and waits for its end. It may be called again.
func (vm *VM) Kill() {
	vm.cmd.Process.Kill() // fails only when QEMU has ended
	<-vm.done
	if vm.mon != nil {
		vm.mon.conn.Close()
	}
}

// WaitExit waits for the guest to power off and returns QEMU's exit status: on x86 2n+1 for the guest's n, on arm64 0.
func (vm *VM) WaitExit(t testing.TB, timeout time.Duration) int {
	t.Helper()
	select {
	case <-vm.done:
		return vm.state.ExitCode()
	case <-time.After(timeout):
		t.Fatalf("%s still runs after %v; its console:\n%s", vm.Image.Name, timeout, vm.Console())
	}
	return -1
}

// Console returns what the guest has written so far, every byte of it.
func (vm *VM) Console() string { return vm.console.text() }

// WaitConsole waits until the console shows the text, and returns the console; the test ends when that takes too long.
func (vm *VM) WaitConsole(t testing.TB, text string, timeout time.Duration) string {
	t.Helper()
	all, err := vm.console.wait(text, timeout)
	if err != nil {
		t.Fatalf("%s: waiting for %q: %v; its console:\n%s\nQEMU said: %s", vm.Image.Name, text, err, all, vm.stderr.text())
	}
	return all
}

// SourceRoot is the guest/ folder of this checkout, which the images' DWARF calls images.SourcePrefix.
func SourceRoot(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("this test binary does not know its sources")
	}
	root := filepath.Join(filepath.Dir(file), "..", "..", "guest")
	if _, err := os.Stat(filepath.Join(root, "Makefile")); err != nil {
		t.Fatalf("the guest's sources: %v (was the test built with -trimpath?)", err)
	}
	return root
}
