package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/qmp"
)

// dumps compares opening a dump of 512 MiB and a first backtrace with gdb, on the
// guest's own image, and with BIG=1 with gdb and crash on Debian's vmlinux.
func dumps(page *strings.Builder, ukdbg, dir string, n int) error {
	monitor := filepath.Join(dir, "dumps.qmp")
	g, err := boot(dir, "x86_64", "-m", "512M", "-qmp", "unix:"+monitor+",server=on,wait=off")
	if err != nil {
		return err
	}
	plain, packed := filepath.Join(dir, "guest.elf"), filepath.Join(dir, "guest.kdump")
	err = qmp.Monitor{Path: monitor, Timeout: time.Minute}.Do(context.Background(), func(c *qmp.Conn) error {
		ctx := context.Background()
		for _, d := range []map[string]any{
			{"paging": false, "protocol": "file:" + plain},
			{"paging": false, "protocol": "file:" + packed, "format": "kdump-zlib"},
		} {
			if err := c.Execute(ctx, "dump-guest-memory", d, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, g.close()); err != nil {
		return err
	}
	gdb := func(image string) command {
		return command{label: "gdb", args: []string{"gdb-multiarch", "-nx", "-batch", "-ex", "core-file " + plain, "-ex", "bt", image}}
	}
	ours := func(dump, image string) command {
		return command{label: "ukdbg (image proved)", args: []string{ukdbg, "attach", dump, "-e", image, "--batch", "--ex", "bt"}}
	}
	for _, w := range []work{
		{name: "512 MiB ELF dump, the guest's image: open and backtrace", goal: "at least 4", a: ours(plain, g.dbg), b: gdb(g.dbg)},
		{name: "512 MiB kdump-zlib, the guest's image (gdb: the ELF dump)", goal: "–", a: ours(packed, g.dbg), b: gdb(g.dbg)},
	} {
		if err := w.measure(page, n); err != nil {
			return err
		}
	}
	if os.Getenv("BIG") != "1" {
		return nil
	}
	return linuxDumps(page, ours, min(n, 5))
}

// linuxDumps does the same with a dump of Linux.
func linuxDumps(page *strings.Builder, ours func(dump, image string) command, n int) error {
	text, err := exec.Command("scripts/vmlinux.sh").Output()
	if err != nil {
		return fmt.Errorf("scripts/vmlinux.sh: %w", err)
	}
	vmlinux := strings.TrimSpace(string(text))
	if text, err = exec.Command("scripts/linuxdump.sh", vmlinux).Output(); err != nil {
		return fmt.Errorf("scripts/linuxdump.sh: %w", err)
	}
	plain, packed := filepath.Join(strings.TrimSpace(string(text)), "linux.elf"), filepath.Join(strings.TrimSpace(string(text)), "linux.kdump")
	crash := func(dump string) command {
		return command{label: "crash", args: []string{"sh", "-c", `echo "bt -a" | crash -s "$0" "$1"`, vmlinux, dump}}
	}
	gdb := command{label: "gdb", args: []string{"gdb-multiarch", "-nx", "-batch", "-ex", "core-file " + plain, "-ex", "bt", vmlinux}}
	for _, w := range []work{
		{name: "512 MiB ELF dump, vmlinux: open and backtrace", goal: "at least 15", a: ours(plain, vmlinux), b: gdb},
		{name: "512 MiB ELF dump, vmlinux: open and backtrace", goal: "–", a: ours(plain, vmlinux), b: crash(plain)},
		{name: "512 MiB kdump-zlib, vmlinux: first backtrace", goal: "at least 50", a: ours(packed, vmlinux), b: crash(packed)},
	} {
		if err := w.measure(page, n); err != nil {
			return err
		}
	}
	return nil
}
