package main

import (
	"bytes"
	"debug/elf"
	le "encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// sharedRAM is a guest's RAM in a file: the test switches and ends the guest by
// it, without QEMU's or ukdbg's help.
type sharedRAM struct {
	file    *os.File
	symbols []elf.Symbol
}

// bootShared boots an x86_64 guest, whose addresses are places in its RAM.
func bootShared(t *testing.T, opt guesttest.Options) (*guest, *sharedRAM) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ram")
	opt.Args = append(opt.Args, "-object", "memory-backend-file,id=ram,size=64M,share=on,mem-path="+path, "-machine", "memory-backend=ram")
	g := boot(t, opt)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	image, err := elf.Open(g.Debug)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	symbols, err := image.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	return g, &sharedRAM{f, symbols}
}

// set writes a variable, which its size tells from others of its name.
func (r *sharedRAM) set(t *testing.T, name string, value uint64, size uint64) {
	t.Helper()
	for _, s := range r.symbols {
		if s.Name != name || s.Size != size {
			continue
		}
		b := le.LittleEndian.AppendUint64(nil, value)[:size]
		if _, err := r.file.WriteAt(b, int64(s.Value)); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no variable %s of %d bytes", name, size)
}

var guestCounters = regexp.MustCompile(`(\d+) trace records written, (\d+) dropped`)

// finish ends the guest, which then prints its counters.
func (r *sharedRAM) finish(t *testing.T, g *guest) (written, dropped uint64) {
	t.Helper()
	r.set(t, "exit_after", 1, 8)
	m := guestCounters.FindStringSubmatch(g.WaitConsole(t, " dropped", patience))
	if m == nil {
		t.Fatalf("no counters:\n%s", g.Console())
	}
	written, errW := strconv.ParseUint(m[1], 10, 64)
	dropped, errD := strconv.ParseUint(m[2], 10, 64)
	if err := errors.Join(errW, errD); err != nil {
		t.Fatal(err)
	}
	return written, dropped
}

// startRecording runs the recorder as users do; end interrupts it and returns
// what it says.
func startRecording(t *testing.T, target string, g *guest, file string) (end func() recordedJSON) {
	t.Helper()
	cmd := exec.Command(binary, "trace", "record", "--json", target, "-e", g.Debug, "-o", file, "--every", "50ms")
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+guesttest.StateDir(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if st, err := os.Stat(file); err == nil && st.Size() > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing is recorded: %s", errs.String())
		}
	}
	return func() (r recordedJSON) {
		t.Helper()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, errs.String())
		}
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
		return r
	}
}

// recorded is what a file holds: records, by CPU where they are numbered, and how
// many are told to be missing.
type recorded struct {
	good, bad, lost uint64
	first, next     map[uint16]uint64 // numbers
	early           uint64            // told as missing before the first record
	jumped          uint64            // numbers passed over
	backwards       int               // a number that is not above the last
	from, to        uint64            // guest time
}

func readRecording(t *testing.T, path string) (r recorded) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r.first, r.next = map[uint16]uint64{}, map[uint16]uint64{}
	src := stream.NewRecording(f)
	for {
		c, err := src.Next()
		if errors.Is(err, io.EOF) {
			return r
		}
		if err != nil || c.Damage != nil {
			t.Fatalf("%v, damage %+v", err, c)
		}
		if c.Lost != nil {
			if c.Lost.Records != recording.Unknown {
				r.lost += c.Lost.Records
			}
			if r.good == 0 {
				r.early += c.Lost.Records
			}
			continue
		}
		for sc := c.Scanner(); sc.Scan(); {
			r.add(sc.Record())
		}
	}
}

func (r *recorded) add(rec *tracebuf.Record) {
	if rec.Problem != tracebuf.Good {
		r.bad++
		return
	}
	if r.good == 0 {
		r.from = rec.Time
	}
	r.good++
	r.to = max(r.to, rec.Time)
	if rec.Ext == nil {
		return
	}
	cpu, seq := rec.Ext.CPU, rec.Ext.Seq
	next, known := r.next[cpu]
	switch {
	case !known:
		r.first[cpu] = seq
	case seq < next:
		r.backwards++
	default:
		r.jumped += seq - next
	}
	r.next[cpu] = seq + 1
}

// soakTime is how long a recording is: with UKDBG_SOAK ten minutes.
func soakTime(t *testing.T) time.Duration {
	if os.Getenv("UKDBG_SOAK") == "" {
		return 4 * time.Second
	}
	if text := os.Getenv("UKDBG_SOAK_TRACE"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	return 10 * time.Minute
}

// TestRecordSoak records all a guest does that traces as fast as it can, and
// compares with what the guest counts on its console: a plain buffer, which is
// emptied, and rings, which are read while the guest runs.
func TestRecordSoak(t *testing.T) {
	length := soakTime(t)
	t.Run("plain buffer", func(t *testing.T) {
		g, ram := bootShared(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp", Append: "rate=20000 trace=off"})
		g.WaitConsole(t, "requests served", patience)
		file := filepath.Join(t.TempDir(), "trace")
		// Tracing begins when the recorder is there, and ends before it leaves.
		end := startRecording(t, g.GDBAddr(), g, file)
		ram.set(t, "uk_trace_enabled", 1, 1)
		time.Sleep(length)
		ram.set(t, "uk_trace_enabled", 0, 1)
		g.serves(t, 4) // nobody is in the middle of a record any more
		said := end()
		written, dropped := ram.finish(t, g)
		got := readRecording(t, file)
		t.Logf("%d records in %.1f s of the guest (%.0f/s), %d dropped by the guest; %+v", got.good, float64(got.to-got.from)/1e9,
			float64(got.good)/(float64(got.to-got.from)/1e9), dropped, said)
		if got.good != written || got.good != said.Records || got.bad != 0 {
			t.Errorf("%d good and %d bad records in the file, the recorder says %d, the guest wrote %d", got.good, got.bad, said.Records, written)
		}
		if (dropped > 0) != (said.LostPeriods > 0) {
			t.Errorf("the guest dropped %d, the recorder tells of %d periods", dropped, said.LostPeriods)
		}
	})
	t.Run("rings", func(t *testing.T) {
		g, ram := bootShared(t, guesttest.Options{Image: "ukguest-x86_64-ring", QMP: true, Append: "rate=20000"})
		target := "qmp:" + g.QMPPath
		file := filepath.Join(t.TempDir(), "trace")
		g.WaitConsole(t, "Powered by", patience)
		end := startRecording(t, target, g, file)
		time.Sleep(length)
		mustVerb(t, "trace", "disable", target, "-e", g.Debug, "*")
		g.serves(t, 4)
		stopped := g.stopped()
		said := end()
		written, _ := ram.finish(t, g)
		got := readRecording(t, file)
		t.Logf("%d records in %.1f s of the guest (%.0f/s), %d overwritten and told; %+v", got.good, float64(got.to-got.from)/1e9,
			float64(got.good)/(float64(got.to-got.from)/1e9), got.lost, said)
		if got.bad != 0 || got.backwards != 0 || got.early != 0 || got.jumped != got.lost || got.good != said.Records {
			t.Errorf("%+v; the recorder says %+v", got, said)
		}
		// What was overwritten before the recorder came is not its loss.
		if missed := got.first[0]; got.next[0] != written || missed+got.good+got.lost != written {
			t.Errorf("numbers %d to %d, %d recorded and %d told as overwritten; the guest wrote %d", missed, got.next[0], got.good, got.lost, written)
		}
		if said.Stops != 0 {
			t.Errorf("the guest was stopped %d times for the recording, %d in all", said.Stops, stopped)
		}
	})
}
