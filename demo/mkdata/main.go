// Command mkdata makes the demo's embedded files from the guest's prebuilt
// images: it compresses the image, boots it until it crashes, and takes the dump.
//
//	go run ./demo/mkdata    (in the module's root; needs QEMU)
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/target"
)

const name = "ukguest-x86_64"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mkdata:", err)
		os.Exit(1)
	}
}

func run() error {
	boot, err := images.Boot(name)
	if err != nil {
		return err
	}
	debug, err := images.Debug(name)
	if err != nil {
		return err
	}
	dump, err := takeDump(boot)
	if err != nil {
		return err
	}
	for file, plain := range map[string][]byte{name: boot, name + ".dbg": debug, "crash.dump": dump} {
		if err := pack(filepath.Join("demo", "data", file+".zst"), plain); err != nil {
			return err
		}
	}
	return nil
}

func pack(path string, plain []byte) error {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	packed := enc.EncodeAll(plain, nil)
	fmt.Printf("%s: %d bytes, %d packed\n", path, len(plain), len(packed))
	return os.WriteFile(path, packed, 0o644)
}

// takeDump boots the guest into its crash and has QEMU dump its memory.
func takeDump(kernel []byte) ([]byte, error) {
	dir, err := os.MkdirTemp("", "mkdata-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, kernel, 0o600); err != nil {
		return nil, err
	}
	socket, dump := filepath.Join(dir, "gdb"), filepath.Join(dir, "dump")
	qemu := exec.Command("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "24M", "-display", "none", "-no-reboot",
		"-net", "none", "-vga", "none", "-serial", "file:"+filepath.Join(dir, "log"), "-monitor", "none",
		"-gdb", "unix:path="+socket+",server=on,wait=off", "-kernel", path, "-append", "demo fault=null after=40")
	qemu.Stderr = os.Stderr
	if err := qemu.Start(); err != nil {
		return nil, err
	}
	defer func() {
		// It may have ended by itself.
		_ = qemu.Process.Kill()
		_ = qemu.Wait()
	}()
	time.Sleep(5 * time.Second) // it crashes after one
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := gdbstub.Dial(ctx, target.Spec{Scheme: target.Unix, Addr: socket}, gdbstub.Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if out, err := c.Monitor(ctx, "dump-guest-memory "+dump); err != nil || out != "" {
		return nil, fmt.Errorf("dump-guest-memory: %s %w", out, err)
	}
	return os.ReadFile(dump)
}
