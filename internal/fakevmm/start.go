package fakevmm

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// roleVar tells a process that it is a fake; its value is the script's file.
const roleVar = "UKDBG_FAKE_VMM"

// Options say what a fake is.
type Options struct {
	// Name is the guest's, Dir a folder of its own for its socket.
	Name, Dir string
	// UUID, Console and Args are further parts of its command line; "" and nil for
	// none.
	UUID, Console string
	Args          []string
	// OwnRAM gives it a copy of the RAM, which it may change.
	OwnRAM bool
	// Shared: RAM is a shared file, as with memory-backend-file,share=on.
	Shared bool
	// NoMonitor: it has none.
	NoMonitor bool
}

// VM is a fake that runs.
type VM struct {
	Monitor string // its socket
	RAM     string // its RAM's file
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// script is what a fake is told.
type script struct {
	RAM     string
	Base    uint64
	Shared  bool
	Monitor string
	Answers map[string]string
}

// Start starts a fake. It ends with this process.
func Start(s Snapshot, opt Options) (*VM, error) {
	vm := &VM{Monitor: filepath.Join(opt.Dir, "qmp"), RAM: s.RAM}
	if opt.OwnRAM {
		vm.RAM = filepath.Join(opt.Dir, "ram")
		if _, err := copySparse(vm.RAM, s.RAM); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(script{RAM: vm.RAM, Base: s.Base, Shared: opt.Shared, Monitor: vm.Monitor, Answers: s.Answers})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(opt.Dir, "script")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	args := []string{s.Program, "-name", opt.Name, "-m", fmt.Sprintf("%dM", s.Size>>20), "-kernel", s.Kernel}
	if opt.UUID != "" {
		args = append(args, "-uuid", opt.UUID)
	}
	if opt.Console != "" {
		args = append(args, "-serial", "file:"+opt.Console)
	}
	if opt.Shared {
		args = append(args, "-object", "memory-backend-file,id=m,share=on,size="+fmt.Sprint(s.Size)+",mem-path="+vm.RAM, "-machine", "memory-backend=m")
	}
	if opt.NoMonitor {
		vm.Monitor = ""
	} else {
		args = append(args, "-qmp", "unix:"+vm.Monitor+",server=on,wait=off")
	}
	vm.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: append(args, opt.Args...), Env: []string{roleVar + "=" + file, "GOMAXPROCS=1", "GOGC=off"},
		Stderr: os.Stderr, SysProcAttr: endsWithUs(),
	}
	if vm.in, err = vm.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := vm.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	vm.out = bufio.NewReader(out)
	if err := vm.cmd.Start(); err != nil {
		return nil, err
	}
	if err := vm.answer(); err != nil {
		return nil, errors.Join(err, vm.Close())
	}
	return vm, nil
}

// Do has the fake do something: "status paused" answers so from now on; "hang" answers
// nothing any more, "answer" answers again; "burn 200ms" uses CPU time; "busy on"
// goes on doing so, "busy off" ends it.
func (vm *VM) Do(line string) error {
	if _, err := fmt.Fprintln(vm.in, line); err != nil {
		return err
	}
	return vm.answer()
}

func (vm *VM) answer() error {
	line, err := vm.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the fake VMM ended: %w", err)
	}
	if line = strings.TrimSpace(line); line != "ok" {
		return errors.New(line)
	}
	return nil
}

// Close ends the fake.
func (vm *VM) Close() error {
	vm.in.Close()
	if err := vm.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	vm.cmd.Wait() // it was killed, which is what it says
	return nil
}
