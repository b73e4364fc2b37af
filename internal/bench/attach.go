package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// attach compares the time from starting the program to the whole of a backtrace
// being in the pipe it prints to, and to its end. ukdbg also lists all threads and
// proves the image's identity before that, and both leave the guest running after
// it.
func attach(page *strings.Builder, ukdbg, dir, arch string, n int) (err error) {
	g, err := boot(dir, arch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	ours := []string{ukdbg, "attach", g.gdb, "-e", g.dbg, "--batch", "--ex", "threads", "--ex", "bt"}
	gdb := []string{"gdb-multiarch", "-nx", "-batch", "-ex", "set confirm off", "-ex", "target remote " + strings.TrimPrefix(g.gdb, "tcp:"),
		"-ex", "bt", "-ex", "detach", g.dbg}
	var a, b, ratio struct{ first, whole []float64 }
	for i := -1; i < n; i++ {
		first, whole, err := backtrace(ours, "worker-1")
		if err != nil {
			return err
		}
		theirFirst, theirWhole, err := backtrace(gdb, "")
		if err != nil {
			return err
		}
		if i < 0 {
			continue // the first pair warms the file cache
		}
		a.first, a.whole = append(a.first, first), append(a.whole, whole)
		b.first, b.whole = append(b.first, theirFirst), append(b.whole, theirWhole)
		ratio.first, ratio.whole = append(ratio.first, theirFirst/first), append(ratio.whole, theirWhole/whole)
	}
	for _, row := range []struct {
		name, goal   string
		a, b, ratios []float64
	}{
		{"attach to first backtrace", "at least 8", a.first, b.first, ratio.first},
		{"the same and leaving, the whole process", "–", a.whole, b.whole, ratio.whole},
	} {
		fmt.Fprintf(page, "| %s, %s | %s | gdb: %s | %.1f × (%.1f–%.1f) | %s |\n", row.name, arch, spread(row.a), spread(row.b),
			median(row.ratios), slices.Min(row.ratios), slices.Max(row.ratios), row.goal)
	}
	return nil
}

// backtrace runs a debugger that prints a backtrace and returns when the last
// line of it had come, and when the process had ended, in ms since it was started.
// What it printed must contain a text.
func backtrace(args []string, contains string) (first, whole float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &complaints
	began := time.Now()
	err = cmd.Start()
	w.Close()
	if err != nil {
		return 0, 0, err
	}
	type piece struct {
		end int // in the output
		at  time.Duration
	}
	var output []byte
	var pieces []piece
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if n == 0 || err != nil {
			break // its end is told by Wait
		}
		output = append(output, buf[:n]...)
		pieces = append(pieces, piece{len(output), time.Since(began)})
	}
	if err := cmd.Wait(); err != nil {
		return 0, 0, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, complaints.String())
	}
	whole = ms(time.Since(began))
	last := bytes.LastIndex(output, []byte("\n#"))
	if last < 0 || !bytes.Contains(output, []byte(contains)) {
		return 0, 0, fmt.Errorf("%s printed no backtrace: %s", strings.Join(args, " "), output)
	}
	end := last + 1 + bytes.IndexByte(output[last+1:], '\n')
	for _, p := range pieces {
		if p.end > end {
			return ms(p.at), whole, nil
		}
	}
	return 0, 0, fmt.Errorf("%s: its last frame has no end: %s", strings.Join(args, " "), output)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
