package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
)

// stackSize is what is read of each processor's stack, in bytes.
const stackSize = 512

// oneStop measures for how long a stop holds the guest in which the registers
// and the top of the stack of every processor are read: from the stop reply to the
// order to go on, and by QEMU's own time stamps of its stop and going on, between
// which its time to obey lies as well. Most stops of a profile end by themselves; of
// these QEMU alone can tell. The peer asks one thing after the other, as gdb does.
func oneStop(page *strings.Builder, dir string, n int) error {
	for _, w := range []struct {
		cpus int
		goal string
	}{{1, "at most 100 µs"}, {4, "at most 250 µs"}} {
		m := qmp.Monitor{Path: filepath.Join(dir, "stop.qmp")}
		if err := os.Remove(m.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		g, err := boot(dir, "x86_64", "-smp", strconv.Itoa(w.cpus), "-qmp", "unix:"+m.Path+",server=on,wait=off")
		if err != nil {
			return err
		}
		var ours, glimpses, naive stops
		for i := 0; i < rounds && err == nil; i++ {
			err = errors.Join(ours.add(m, func() ([]float64, error) { return stopsOfOurs(g, n/rounds, false) }),
				glimpses.add(m, func() ([]float64, error) { return stopsOfOurs(g, n/rounds, true) }),
				naive.add(m, func() ([]float64, error) { return stopsNaive(g, w.cpus, n/rounds) }))
		}
		if err := errors.Join(err, g.close()); err != nil {
			return err
		}
		fmt.Fprintf(page, "| one stop: registers and stacks of %d CPU, µs | %s; of those that end by themselves %.0f | one packet at a time: %s | %.1f × | %s |\n",
			w.cpus, ours.text(), median(glimpses.stamped), naive.text(), median(naive.told)/median(ours.told), w.goal)
	}
	return nil
}

// stops are how long each of some stops was, in µs: as its client was told, and by
// QEMU's time stamps.
type stops struct{ told, stamped []float64 }

func (s *stops) add(m qmp.Monitor, run func() ([]float64, error)) error {
	end, err := watchStops(m)
	if err != nil {
		return err
	}
	told, err := run()
	list, werr := end()
	if err := errors.Join(err, werr); err != nil {
		return err
	}
	s.told = append(s.told, told...)
	for _, d := range list {
		s.stamped = append(s.stamped, float64(d.Nanoseconds())/1000)
	}
	return nil
}

func (s *stops) text() string {
	return fmt.Sprintf("%s; by QEMU's time stamps %.0f", spread(s.told), median(s.stamped))
}

// rounds is how often the two take turns: the machine is shared, and what slows
// it down for a while must slow both.
const rounds = 10

// between is for how long the guest runs between two stops.
const between = time.Millisecond

// stopsOfOurs are as profile makes them: ordinary ones, or such as end by themselves where
// that may be.
func stopsOfOurs(g *guest, n int, glimpses bool) (took []float64, err error) {
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
	c.Sampling(true)
	defer c.Sampling(false)
	if err := c.Resume(ctx); err != nil {
		return nil, err
	}
	for i := -n / 10; i < n; i++ {
		if !glimpses {
			c.Sampling(true) // begins anew
		}
		time.Sleep(between)
		e, err := c.Halt(ctx)
		if err != nil {
			return nil, err
		}
		if e.Kind != target.EventStopped {
			return nil, fmt.Errorf("event %d: %w", e.Kind, e.Err)
		}
		regs, err := c.ReadAllRegisters(ctx)
		if err != nil {
			return nil, err
		}
		stacks := make([]target.Range, len(regs))
		for j := range regs {
			stacks[j] = target.Range{Addr: regs[j].SP(), Data: make([]byte, stackSize)}
		}
		if err := c.ReadMany(ctx, stacks); err != nil && !errors.Is(err, target.ErrLapsed) {
			return nil, err
		}
		if err := c.Resume(ctx); err != nil {
			return nil, err
		}
		if i >= 0 && !glimpses {
			took = append(took, float64(time.Since(e.Time).Nanoseconds())/1000)
		}
		c.Rest(ctx)
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
