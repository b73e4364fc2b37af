package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/guest/images"
)

// guest is one of our guests, serving requests in QEMU.
type guest struct {
	arch, dbg, gdb string
	cmd            *exec.Cmd
	ended          chan error // what Wait returned
}

// boot boots a guest. The port that was free may be somebody else's by the time QEMU
// wants it: one that ends at once is started again on another.
func boot(dir, arch string, extra ...string) (*guest, error) {
	for try := 1; ; try++ {
		g, err := bootOnce(dir, arch, extra...)
		if err == nil || try == 3 || !errors.Is(err, errEnded) {
			return g, err
		}
	}
}

// errEnded says that QEMU ended before the guest was up.
var errEnded = errors.New("QEMU ended")

func bootOnce(dir, arch string, extra ...string) (*guest, error) {
	img, err := images.Find("ukguest-" + arch)
	if err != nil {
		return nil, err
	}
	kernel, dbg, err := img.Extract(dir)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	g := &guest{arch: arch, dbg: dbg, gdb: fmt.Sprintf("tcp:127.0.0.1:%d", port)}
	console := filepath.Join(dir, arch+".log")
	args := []string{"-cpu", "max", "-accel", "tcg", "-m", "64M", "-display", "none", "-no-reboot", "-net", "none", "-monitor", "none",
		"-serial", "file:" + console, "-gdb", g.gdb, "-kernel", kernel, "-append", "bench"}
	program := "qemu-system-x86_64"
	if arch == "arm64" {
		program, args = "qemu-system-aarch64", append([]string{"-machine", "virt"}, args...)
	}
	g.cmd = exec.Command(program, append(args, extra...)...)
	if err := os.Remove(console); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var said bytes.Buffer
	g.cmd.Stderr = &said
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	g.ended = make(chan error, 1)
	go func() { g.ended <- g.cmd.Wait() }()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if text, err := os.ReadFile(console); err == nil && bytes.Contains(text, []byte("requests served")) {
			return g, nil
		}
		if len(g.ended) > 0 {
			return nil, fmt.Errorf("%w: %v: %s", errEnded, <-g.ended, strings.TrimSpace(said.String()))
		}
	}
	return nil, errors.Join(errors.New("the guest did not come up in a minute"), g.close())
}

func (g *guest) close() error {
	if err := g.cmd.Process.Kill(); err != nil {
		return err
	}
	if err := <-g.ended; err != nil && !strings.Contains(err.Error(), "killed") {
		return err
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
