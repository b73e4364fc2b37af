package ring_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/kernel/unikraft"
	"github.com/ukdbg/ukdbg/symbolizer"
	"github.com/ukdbg/ukdbg/symbolizer/ctype"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/ring"
)

const patience = 60 * time.Second

// ram is the guest's RAM in a file that QEMU shares with us; it is still there
// when QEMU has ended.
type ram struct {
	f    *os.File
	base uint64
}

func (r ram) ReadMemory(_ context.Context, p []byte, addr uint64) (int, error) {
	n, err := r.f.ReadAt(p, int64(addr-r.base))
	if err != nil {
		return n, &target.FaultError{Addr: addr + uint64(n)}
	}
	return n, nil
}

func (r ram) WriteMemory(_ context.Context, p []byte, addr uint64) error {
	_, err := r.f.WriteAt(p, int64(addr-r.base))
	return err
}

// guest is a running guest with rings, read without its or QEMU's help.
type guest struct {
	vm    *guesttest.VM
	ram   ram
	image *symbolizer.Image
	img   unikraft.Image
	defs  *tracebuf.Definitions
	rings *ring.Rings
}

func boot(t *testing.T, arch, commandLine string, smp int) *guest {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ram")
	vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-" + arch + "-ring", Append: commandLine, SMP: smp, Args: []string{
		"-object", "memory-backend-file,id=ram,size=64M,share=on,mem-path=" + path, "-machine", "memory-backend=ram"}})
	g := &guest{vm: vm, ram: ram{base: map[string]uint64{"x86_64": 0, "arm64": 0x40000000}[arch]}}
	var err error
	if g.ram.f, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.ram.f.Close() })
	if g.image, err = symbolizer.Open(vm.Debug); err != nil {
		t.Fatal(err)
	}
	types, err := ctype.New(g.image)
	if err != nil {
		t.Fatal(err)
	}
	if g.defs, err = tracebuf.ParseDefinitions(g.image.Section(".uk_tracepoints_list")); err != nil {
		t.Fatal(err)
	}
	g.img = unikraft.FromSymbolizer(g.image, types)
	vm.WaitConsole(t, "Powered by", patience)
	if g.rings, err = ring.Open(t.Context(), g.ram, g.img, 0); err != nil {
		t.Fatal(err)
	}
	return g
}

// tally checks each record and counts them by name.
type tally struct {
	t       *testing.T
	names   map[string]uint64
	cpus    map[int]uint64
	threads map[uint64]string // the thread a switch's record is of, by its address
	lost    uint64
	seqs    []map[uint64]bool
	late    int
	last    uint64
}

func newTally(t *testing.T, cpus int) *tally {
	y := &tally{t: t, names: map[string]uint64{}, cpus: map[int]uint64{}, threads: map[uint64]string{}}
	for range cpus {
		y.seqs = append(y.seqs, map[uint64]bool{})
	}
	return y
}

func (y *tally) add(r *ring.Record) error {
	if r.Problem != tracebuf.Good {
		y.t.Errorf("record %d of CPU %d: %v", r.Seq, r.CPU, r.Problem)
		return nil
	}
	if y.seqs[r.CPU][r.Seq] {
		y.t.Errorf("record %d of CPU %d came twice", r.Seq, r.CPU)
	}
	y.seqs[r.CPU][r.Seq] = true
	y.names[r.Def.Name]++
	y.cpus[r.CPU]++
	y.lost += r.Lost
	if r.Time < y.last {
		y.late++
	}
	y.last = r.Time
	if r.Def.Name == "sched_sleep" { // its first argument is the name of the thread that writes it
		if name := y.threads[r.Thread]; name != "" && name != r.String(0) {
			y.t.Errorf("thread %#x is %s and %s", r.Thread, name, r.String(0))
		}
		y.threads[r.Thread] = r.String(0)
	}
	return nil
}

var counters = regexp.MustCompile(`ukguest: (\d+) requests served, (\d+) failed, (\d+) trace records written, (\d+) dropped`)

// counted returns what the guest printed as it ended.
func (g *guest) counted(t *testing.T) (served, failed, written, dropped uint64) {
	t.Helper()
	m := counters.FindStringSubmatch(g.vm.Console())
	if m == nil {
		t.Fatalf("no counters on the console:\n%s", g.vm.Console())
	}
	for i, to := range []*uint64{&served, &failed, &written, &dropped} {
		*to, _ = strconv.ParseUint(m[i+1], 10, 64)
	}
	return
}

// Records of several CPUs are read while the guest runs, none is lost, and there
// are as many as the guest counted.
func TestLiveNothingLost(t *testing.T) {
	for _, arch := range []string{"x86_64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			g := boot(t, arch, "exit=600 rate=400", 2)
			rd := g.rings.NewReader(g.defs, 0, ring.Options{})
			y := newTally(t, g.rings.CPUs)
			before := len(g.vm.Events())
			for alive := true; alive; {
				alive = !strings.Contains(g.vm.Console(), "requests served, ")
				if err := rd.Poll(t.Context(), y.add); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond)
			}
			g.vm.WaitExit(t, patience)
			// What was written after the last look is in the file still.
			if err := rd.Poll(t.Context(), y.add); err != nil {
				t.Fatal(err)
			}
			st := rd.Stats()
			served, failed, written, dropped := g.counted(t)
			t.Logf("%+v; %d served, %d written; by CPU %v; %d late of %d names", st, served, written, y.cpus, y.late, len(y.names))
			// The other CPU goes on between the count and the power's end.
			if st.Read < written || st.Read > written+20 || st.Written != st.Read || dropped != 0 {
				t.Errorf("read %d records, the guest counts %d and printed %d", st.Read, st.Written, written)
			}
			if st.Lost != 0 || st.Before != 0 || st.Pending != 0 || st.Bad != 0 || y.lost != 0 {
				t.Errorf("%+v", st)
			}
			// The last request may be counted before its record is written.
			if n := y.names["request_serve_ret"]; n < served || n > served+1 || y.names["request_serve_err"] != failed {
				t.Errorf("%d returns and %d errors recorded, %d and %d counted", n, y.names["request_serve_err"], served, failed)
			}
			if y.cpus[0] == 0 || y.cpus[1] == 0 {
				t.Errorf("records by CPU: %v", y.cpus)
			}
			names := fmt.Sprint(slices.Sorted(maps.Values(y.threads)))
			for _, w := range []string{"main", "acceptor", "disk", "cpu1-worker"} {
				if !strings.Contains(names, w) {
					t.Errorf("no record of thread %s in %s", w, names)
				}
			}
			for _, e := range g.vm.Events()[before:] {
				if e.Name == "STOP" {
					t.Errorf("the guest was stopped: %+v", e)
				}
			}
		})
	}
}

// A reader that comes too late finds out how many records were overwritten, to
// the last one.
func TestLiveOverwritten(t *testing.T) {
	for _, arch := range []string{"x86_64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			g := boot(t, arch, "exit=1500 rate=1000", 1)
			rd := g.rings.NewReader(g.defs, 0, ring.Options{})
			y := newTally(t, g.rings.CPUs)
			for range 3 {
				if err := rd.Poll(t.Context(), y.add); err != nil {
					t.Fatal(err)
				}
				time.Sleep(500 * time.Millisecond)
			}
			g.vm.WaitExit(t, patience)
			if err := rd.Poll(t.Context(), y.add); err != nil {
				t.Fatal(err)
			}
			st := rd.Stats()
			_, _, written, _ := g.counted(t)
			t.Logf("%+v", st)
			if st.Written < written || st.Before+st.Read+st.Lost != st.Written || st.Pending != 0 {
				t.Errorf("%+v; the guest printed %d", st, written)
			}
			if st.Lost == 0 || st.Lost != y.lost || st.Read == 0 || st.Bad != 0 {
				t.Errorf("%+v, %d told with records", st, y.lost)
			}
		})
	}
}

// Tracepoints are switched while the guest runs; backtraces lead through the
// caller.
func TestLiveSwitches(t *testing.T) {
	for _, arch := range []string{"x86_64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			g := boot(t, arch, "rate=400", 1)
			points, err := g.rings.Points(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(points) != len(g.defs.All)-1 { // the plain buffer's benchmark has one of its own
				t.Errorf("%d switches for %d tracepoints", len(points), len(g.defs.All))
			}
			for _, p := range points {
				d := g.defs.Lookup(p.Cookie)
				if d == nil || !p.Enabled || p.Frames != 0 {
					t.Fatalf("%+v is the switch of %v", p, d)
				}
				p.Enabled = d.Name == "malloc" || d.Name == "vfs_read"
				if d.Name == "vfs_read" {
					p.Frames = 8
				}
				if err := g.rings.SetPoint(t.Context(), g.ram, p); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(100 * time.Millisecond) // records begun before are finished
			rd := g.rings.NewReader(g.defs, 0, ring.Options{New: true})
			names, calls := map[string]int{}, map[string]int{}
			collect := func(r *ring.Record) error {
				names[r.Def.Name]++
				if r.Def.Name != "vfs_read" {
					if len(r.Frames) != 0 {
						t.Errorf("%s has %d return addresses", r.Def.Name, len(r.Frames))
					}
					return nil
				}
				var chain []string
				for _, pc := range r.Frames {
					chain = append(chain, symbolAt(g.image, pc))
				}
				calls[strings.Join(chain, " ")]++
				return nil
			}
			watch := func() {
				clear(names)
				for range 10 {
					if err := rd.Poll(t.Context(), collect); err != nil {
						t.Fatal(err)
					}
					time.Sleep(100 * time.Millisecond)
				}
			}
			if err := rd.Poll(t.Context(), func(*ring.Record) error { return nil }); err != nil {
				t.Fatal(err)
			}
			watch()
			if len(names) != 2 || names["malloc"] == 0 || names["vfs_read"] == 0 {
				t.Errorf("with two enabled: %v", names)
			}
			for chain := range calls {
				if !strings.HasPrefix(chain, "vfs_read cache_") || !strings.Contains(chain, "worker_main") {
					t.Errorf("a backtrace of vfs_read: %s", chain)
				}
			}
			if err := g.rings.SetOn(t.Context(), g.ram, false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			if err := rd.Poll(t.Context(), collect); err != nil {
				t.Fatal(err)
			}
			watch()
			state, err := g.rings.State(t.Context())
			if err != nil || state.On || len(names) != 0 {
				t.Errorf("switched off: %v, %+v, %v", names, state, err)
			}
			if err := g.rings.SetOn(t.Context(), g.ram, true); err != nil {
				t.Fatal(err)
			}
			watch()
			if names["malloc"] == 0 {
				t.Errorf("switched on again: %v", names)
			}
			if st := rd.Stats(); st.Lost != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// symbolAt names the function that the return address pc is in.
func symbolAt(im *symbolizer.Image, pc uint64) string {
	s, ok := im.Symbol(pc - 1)
	if !ok {
		return fmt.Sprintf("%#x", pc)
	}
	return s.Name
}
