package main

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/livevm"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
)

// burner is a guest with a thread that burns the processor and counts what it did:
// guest/app/burn.c.
type burner struct {
	*guest
	monitor qmp.Monitor // for who samples
	second  qmp.Monitor // for QEMU's account of stops
	memory  *livevm.Machine
	rounds  uint64 // the address of burn_rounds
	time    uint64 // and of burn_time
}

// burnt is what the burner had done at a moment.
type burnt struct {
	at     time.Time
	rounds uint64
	time   [3]uint64 // ns in burn_60, burn_30 and burn_10
}

func bootBurner(dir string, machine ...string) (b *burner, err error) {
	b = &burner{monitor: qmp.Monitor{Path: filepath.Join(dir, "burn.qmp")}, second: qmp.Monitor{Path: filepath.Join(dir, "burn.qmp2")}}
	args := append(machine, "-append", "burn")
	for _, m := range []qmp.Monitor{b.monitor, b.second} {
		if err := os.Remove(m.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		args = append(args, "-qmp", "unix:"+m.Path+",server=on,wait=off")
	}
	if b.guest, err = boot(dir, "x86_64", args...); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	file, err := elf.Open(b.dbg)
	if err != nil {
		return b, err
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return b, err
	}
	for _, s := range symbols {
		switch s.Name {
		case "burn_rounds":
			b.rounds = s.Value
		case "burn_time":
			b.time = s.Value
		}
	}
	if b.rounds == 0 || b.time == 0 {
		return b, errors.New("the guest has no burn_rounds or burn_time: make guest")
	}
	b.memory, err = livevm.OpenMonitor(context.Background(), b.second, livevm.Options{})
	return b, err
}

func (b *burner) close() error {
	var err error
	if b.memory != nil {
		err = b.memory.Close()
	}
	return errors.Join(err, b.guest.close())
}

// count reads the burner's counters without stopping it.
func (b *burner) count() (c burnt, err error) {
	ctx := context.Background()
	b.memory.Forget()
	var words [4][8]byte
	c.at = time.Now()
	ranges := []target.Range{{Addr: b.rounds, Data: words[0][:]}}
	for i := range c.time {
		ranges = append(ranges, target.Range{Addr: b.time + 8*uint64(i), Data: words[i+1][:]})
	}
	if err := target.ReadMany(ctx, b.memory, ranges); err != nil {
		return c, err
	}
	for _, r := range ranges {
		if r.N != len(r.Data) {
			return c, fmt.Errorf("the burner's counter at %#x cannot be read", r.Addr)
		}
	}
	c.rounds = binary.LittleEndian.Uint64(words[0][:])
	for i := range c.time {
		c.time[i] = binary.LittleEndian.Uint64(words[i+1][:])
	}
	return c, nil
}

// watch begins to listen to QEMU's events; the function it returns tells for how
// long the VM was stopped since, and how often, by QEMU's time stamps.
func (b *burner) watch() (func() (time.Duration, int, error), error) {
	end, err := watchStops(b.second)
	if err != nil {
		return nil, err
	}
	return func() (sum time.Duration, stops int, err error) {
		list, err := end()
		for _, d := range list {
			sum += d
		}
		return sum, len(list), err
	}, nil
}

// watchStops begins to listen to QEMU's events at a monitor; the function it returns
// tells how long each stop since then was, by QEMU's time stamps.
func watchStops(m qmp.Monitor) (func() ([]time.Duration, error), error) {
	ctx := context.Background()
	c, err := m.Open(ctx)
	if err != nil {
		return nil, err
	}
	return func() (list []time.Duration, err error) {
		defer c.Close()
		if err := c.Execute(ctx, "query-status", nil, nil); err != nil {
			return nil, err
		}
		events, more := c.Events()
		if more > 0 {
			return nil, fmt.Errorf("%d events too many to count stops by", more)
		}
		var since time.Time
		for _, e := range events {
			switch e.Name {
			case "STOP":
				since = e.Time()
			case "RESUME":
				if !since.IsZero() {
					list = append(list, e.Time().Sub(since))
				}
				since = time.Time{}
			}
		}
		return list, nil
	}, nil
}

// naive samples at 99 Hz as a simple client does: interrupt, registers, 512 bytes of
// stack, continue, one request after the other.
func (b *burner) naive(d time.Duration) (float64, error) {
	c, err := dialNaive(b.gdb)
	if err != nil {
		return 0, err
	}
	defer c.conn.Close()
	const period = time.Second / 99
	samples := 0
	for next, end := time.Now(), time.Now().Add(d); next.Before(end); next = next.Add(period) {
		if err := c.resume(); err != nil {
			return 0, err
		}
		time.Sleep(time.Until(next.Add(period)))
		if _, err := c.stop(1); err != nil {
			return 0, err
		}
		samples++
	}
	return float64(samples), c.leave()
}

// gdbBatch starts gdb for each sample, as often as it can.
func (b *burner) gdbBatch(d time.Duration) (float64, error) {
	samples := 0
	for end := time.Now().Add(d); time.Now().Before(end); samples++ {
		out, err := exec.Command("gdb-multiarch", "-nx", "-batch", "-ex", "set confirm off", "-ex",
			"target remote "+strings.TrimPrefix(b.gdb, "tcp:"), "-ex", "bt", "-ex", "detach", b.dbg).CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("gdb: %w: %s", err, out)
		}
	}
	return float64(samples), nil
}
