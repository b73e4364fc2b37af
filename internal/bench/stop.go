package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/target"
)

// stackSize is what is read of each processor's stack, in bytes.
const stackSize = 512

// oneStop measures for how long a stop holds the guest in which the registers
// and the top of the stack of every processor are read: from the stop reply to
// the order to go on. The peer asks one thing after the other, as gdb does.
func oneStop(page *strings.Builder, dir string, n int) error {
	for _, w := range []struct {
		cpus int
		goal string
	}{{1, "at most 100 µs"}, {4, "at most 250 µs"}} {
		g, err := boot(dir, "x86_64", "-smp", strconv.Itoa(w.cpus))
		if err != nil {
			return err
		}
		var ours, naive []float64
		for i := 0; i < rounds && err == nil; i++ {
			var a, b []float64
			if a, err = stopsOfOurs(g, n/rounds); err == nil {
				b, err = stopsNaive(g, w.cpus, n/rounds)
			}
			ours, naive = append(ours, a...), append(naive, b...)
		}
		if err := errors.Join(err, g.close()); err != nil {
			return err
		}
		fmt.Fprintf(page, "| one stop: registers and stacks of %d CPU, µs | %s | one packet at a time: %s | %.1f × | %s |\n",
			w.cpus, spread(ours), spread(naive), median(naive)/median(ours), w.goal)
	}
	return nil
}

// rounds is how often the two take turns: the machine is shared, and what slows
// it down for a while must slow both.
const rounds = 10

// between is for how long the guest runs between two stops.
const between = time.Millisecond

func stopsOfOurs(g *guest, n int) (took []float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	spec, err := target.ParseSpec(g.gdb)
	if err != nil {
		return nil, err
	}
	c, err := gdbstub.Dial(ctx, spec, gdbstub.Options{})
	if err != nil {
		return nil, err
	}
	defer func() {
		_, lerr := c.Leave(ctx)
		err = errors.Join(err, lerr)
	}()
	for i := -n / 10; i < n; i++ {
		if err := c.Resume(ctx); err != nil {
			return nil, err
		}
		time.Sleep(between)
		if err := c.Interrupt(ctx); err != nil {
			return nil, err
		}
		if e := <-c.Events(); e.Kind != target.EventStopped {
			return nil, fmt.Errorf("event %d: %w", e.Kind, e.Err)
		}
		began := time.Now()
		regs, err := c.ReadAllRegisters(ctx)
		if err != nil {
			return nil, err
		}
		stacks := make([]target.Range, len(regs))
		for j := range regs {
			stacks[j] = target.Range{Addr: regs[j].SP(), Data: make([]byte, stackSize)}
		}
		if err := c.ReadMany(ctx, stacks); err != nil {
			return nil, err
		}
		if err := c.Resume(ctx); err != nil {
			return nil, err
		}
		if i >= 0 {
			took = append(took, float64(time.Since(began).Nanoseconds())/1000)
		}
		time.Sleep(between)
		if err := c.Interrupt(ctx); err != nil {
			return nil, err
		}
		if e := <-c.Events(); e.Kind != target.EventStopped {
			return nil, fmt.Errorf("event %d: %w", e.Kind, e.Err)
		}
	}
	return took, nil
}

// stopsNaive does the same with one request in flight.
func stopsNaive(g *guest, cpus, n int) (took []float64, err error) {
	c, err := dialNaive(g.gdb)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	for i := -n / 10; i < n; i++ {
		if err := c.resume(); err != nil {
			return nil, err
		}
		time.Sleep(between)
		stopped, err := c.stop(cpus)
		if err != nil {
			return nil, err
		}
		if i >= 0 {
			took = append(took, float64(time.Since(stopped).Nanoseconds())/1000)
		}
	}
	return took, c.leave()
}
