package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// profiles measures what sampling a guest that burns its processor costs it: how
// many samples a second, for how long it was stopped by QEMU's own time stamps, and
// how much of its work it still did by its own count. Each way takes its turn, with
// a turn of nobody's between.
func profiles(page *strings.Builder, ukdbg, dir string, n int) error {
	b, err := bootBurner(dir, "-accel", "tcg", "-cpu", "max")
	if err != nil {
		return err
	}
	const turn = 3 * time.Second
	cpu := func(target, hz string) func(time.Duration) (float64, error) {
		return func(d time.Duration) (float64, error) {
			p, err := sampleWith(ukdbg, target, b.dbg, "-F", hz, "-d", d.String())
			return float64(p.Ticks), err
		}
	}
	ways := []*way{
		{name: "nobody", run: func(d time.Duration) (float64, error) { time.Sleep(d); return 0, nil }},
		{name: "monitor", run: cpu("qmp:"+b.monitor.Path, "99")},
		{name: "fast", run: cpu("qmp:"+b.monitor.Path, "1000")},
		{name: "stub", run: cpu(b.gdb, "99")},
		{name: "naive", run: b.naive},
		{name: "gdb", run: b.gdbBatch},
	}
	for i := 0; i < max(n/2, 3) && err == nil; i++ {
		for _, w := range ways {
			err = errors.Join(err, w.turn(b, turn))
		}
		for _, w := range ways[1:] {
			w.kept = append(w.kept, w.work[i]/ways[0].work[i])
		}
	}
	if err := errors.Join(err, b.close()); err != nil {
		return err
	}
	monitor, fast, stub, naive, gdb := ways[1], ways[2], ways[3], ways[4], ways[5]
	fmt.Fprintf(page, "| 99 Hz CPU profile without a stop | %s | gdb -batch for each sample: %s | %.0f × | 99 samples/s, 0 stops |\n",
		monitor.text(), gdb.text(), median(monitor.rate)/median(gdb.rate))
	fmt.Fprintf(page, "| 99 Hz CPU profile over the stub | %s | a naive client, one request after the other: %s | stopped %.1f × | stopped at most 1.5 %% |\n",
		stub.text(), naive.text(), median(naive.stopped)/median(stub.stopped))
	fmt.Fprintf(page, "| 1 kHz CPU profile without a stop | %s | – | – | at least 990 samples/s |\n", fast.text())
	return accuracies(page, ukdbg, dir)
}

// way is a way to sample, with what each turn of it gave.
type way struct {
	name string
	// run samples for about so long and returns how many samples it took.
	run func(time.Duration) (float64, error)

	rate    []float64 // samples a second
	stopped []float64 // percent of the time
	stops   int
	work    []float64 // the burner's rounds a second
	kept    []float64 // of what it does alone just before, from 0 to 1
}

func (w *way) turn(b *burner, d time.Duration) error {
	before, err := b.count()
	if err != nil {
		return err
	}
	watch, err := b.watch()
	if err != nil {
		return err
	}
	samples, err := w.run(d)
	if err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	stopped, stops, err := watch()
	if err != nil {
		return err
	}
	after, err := b.count()
	if err != nil {
		return err
	}
	took := after.at.Sub(before.at)
	// A process that starts, opens the image and leaves samples for less than all of it.
	w.rate = append(w.rate, samples/d.Seconds())
	w.stopped = append(w.stopped, 100*float64(stopped)/float64(took))
	w.stops += stops
	w.work = append(w.work, float64(after.rounds-before.rounds)/took.Seconds())
	return nil
}

// text is what a way took, cost and left.
func (w *way) text() string {
	return fmt.Sprintf("%s samples/s, stopped %.2f %% (%.2f–%.2f) in %d stops, guest's work %s of undisturbed",
		spread(w.rate), median(w.stopped), minOf(w.stopped), maxOf(w.stopped), w.stops, interval(w.kept))
}

func minOf(v []float64) float64 {
	m := math.Inf(1)
	for _, x := range v {
		m = min(m, x)
	}
	return m
}

func maxOf(v []float64) float64 {
	m := math.Inf(-1)
	for _, x := range v {
		m = max(m, x)
	}
	return m
}

// interval is the mean of ratios with its 95 % confidence interval, by Student's t.
func interval(v []float64) string {
	// Quantiles of t at 97.5 % for 1, 2, 3… degrees of freedom.
	quantiles := []float64{12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13}
	if len(v) < 2 {
		return "–"
	}
	var sum, squares float64
	for _, x := range v {
		sum += x
	}
	mean := sum / float64(len(v))
	for _, x := range v {
		squares += (x - mean) * (x - mean)
	}
	t := quantiles[min(len(v)-2, len(quantiles)-1)]
	half := t * math.Sqrt(squares/float64(len(v)-1)/float64(len(v)))
	return fmt.Sprintf("%.0f ± %.0f %%", 100*mean, 100*half)
}

// sampled is what profile --json says.
type sampled struct {
	Ticks, Samples int64
	Top            []struct {
		Function string
		Flat     int64
	}
}

func sampleWith(ukdbg, target, dbg string, args ...string) (p sampled, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, ukdbg, append([]string{"profile", target, "-e", dbg, "--json"}, args...)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return p, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, errs.String())
	}
	return p, json.Unmarshal(out, &p)
}

// accuracies compares the shares of the burner's three functions, in some 6,000
// samples, with what the guest itself counted.
func accuracies(page *strings.Builder, ukdbg, dir string) error {
	for _, w := range []struct {
		name string
		boot []string
		stub bool
		hz   int
		d    time.Duration
	}{
		{"QEMU -singlestep, without a stop", []string{"-accel", "tcg", "-cpu", "max", "-singlestep"}, false, 500, 13 * time.Second},
		{"QEMU -singlestep, over the stub", []string{"-accel", "tcg", "-cpu", "max", "-singlestep"}, true, 300, 24 * time.Second},
		{"KVM, without a stop", []string{"-accel", "kvm", "-cpu", "qemu64"}, false, 500, 13 * time.Second},
	} {
		row := func(ours string) {
			fmt.Fprintf(page, "| shares of a 60/30/10 workload, %s | %s | naive, on plain TCG: 56/27/13 | | within 2 points + 3 σ of the guest's own count |\n", w.name, ours)
		}
		if w.boot[1] == "kvm" {
			f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
			if err != nil {
				row(fmt.Sprintf("not run: %v", err))
				continue
			}
			f.Close()
		}
		b, err := bootBurner(dir, w.boot...)
		if err != nil && w.boot[1] == "kvm" {
			row(fmt.Sprintf("not run: %v", err))
			continue
		}
		if err != nil {
			return err
		}
		target := "qmp:" + b.monitor.Path
		args := []string{"-F", strconv.Itoa(w.hz), "-d", w.d.String()}
		if w.stub {
			target, args = b.gdb, append(args, "--pause-budget", "60%")
		}
		before, err := b.count()
		var p sampled
		if err == nil {
			p, err = sampleWith(ukdbg, target, b.dbg, args...)
		}
		var after burnt
		if err == nil {
			after, err = b.count()
		}
		if err := errors.Join(err, b.close()); err != nil {
			return err
		}
		row(judge(p, before, after))
	}
	return nil
}

// judge sets samples beside the guest's count.
func judge(p sampled, before, after burnt) string {
	names := [3]string{"burn_60", "burn_30", "burn_10"}
	var seen, counted [3]float64
	var all, time float64
	for i, name := range names {
		for _, f := range p.Top {
			if f.Function == name {
				seen[i] += float64(f.Flat)
			}
		}
		counted[i] = float64(after.time[i] - before.time[i])
		all += seen[i]
		time += counted[i]
	}
	within, worst := true, 0.0
	for i := range names {
		want, got := counted[i]/time, seen[i]/all
		off := math.Abs(got - want)
		worst = max(worst, off)
		within = within && off <= 0.02+3*math.Sqrt(want*(1-want)/all)
	}
	verdict := "within"
	if !within {
		verdict = "NOT within"
	}
	return fmt.Sprintf("%.1f/%.1f/%.1f of %.0f samples of the burner in %d; the guest counted %.1f/%.1f/%.1f; %.1f points off at most: %s",
		100*seen[0]/all, 100*seen[1]/all, 100*seen[2]/all, all, p.Samples, 100*counted[0]/time, 100*counted[1]/time, 100*counted[2]/time, 100*worst, verdict)
}
