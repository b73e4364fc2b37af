package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// qemu is the program that runs the guest.
const qemu = "qemu-system-x86_64"

// guest is a running QEMU. Close ends it.
type guest struct {
	cmd     *exec.Cmd
	gdb     string // target address of its stub
	console string // file with its console
	ended   chan error
}

// boot starts the guest with a kernel command line and waits until its console
// has said ready.
func boot(ctx context.Context, dir, name, kernel, appendLine, ready string) (*guest, error) {
	socket := filepath.Join(dir, name+".gdb")
	g := &guest{gdb: "unix:" + socket, console: filepath.Join(dir, name+".log"), ended: make(chan error, 1)}
	var stderr bytes.Buffer
	g.cmd = exec.Command(qemu, "-accel", "tcg", "-cpu", "max", "-m", "64M", "-display", "none", "-no-reboot", "-net", "none",
		"-serial", "file:"+g.console, "-monitor", "none", "-gdb", "unix:path="+socket+",server=on,wait=off",
		"-kernel", kernel, "-append", appendLine)
	g.cmd.Stderr = &stderr
	g.cmd.SysProcAttr = endsWithUs()
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { g.ended <- g.cmd.Wait() }()
	const patience = 60 * time.Second
	deadline := time.Now().Add(patience)
	for {
		text, err := os.ReadFile(g.console)
		if err == nil && bytes.Contains(text, []byte(ready)) {
			return g, nil
		}
		select {
		case err := <-g.ended:
			g.ended <- err
			return nil, fmt.Errorf("%s ended early (%v): %s", qemu, err, bytes.TrimSpace(stderr.Bytes()))
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), g.Close())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("the guest did not say %q within %v", ready, patience), g.Close())
		}
	}
}

// Close ends QEMU.
func (g *guest) Close() error {
	if err := g.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-g.ended
	return nil
}
