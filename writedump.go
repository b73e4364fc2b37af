package ukdbg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/corefile/seekzstd"
	"github.com/ukdbg/ukdbg/dumpfile"
	"github.com/ukdbg/ukdbg/target"
	"github.com/ukdbg/ukdbg/target/mmu"
)

// WriteOptions say what a dump that is written is to hold.
type WriteOptions struct {
	// Minimal leaves out what heap objects hold. Depth is how many pointers are
	// followed all the same, 0 for DefaultDepth, below 0 for none.
	Minimal bool
	Depth   int
	// Pause stops a guest that is observed while it is read, by a stub opened for
	// the time, so that the dump is of one instant.
	Pause bool
	// Writer names the program and its version in the dump.
	Writer string
	// Progress is told how much memory was read of how much, in bytes; nil for
	// nobody.
	Progress func(done, total uint64)
}

// DumpStats say what a dump holds and what it cost.
type DumpStats struct {
	// Size is that of the file, Memory what guest memory it holds, in bytes.
	Size, Memory int64
	Pieces, CPUs int
	Minimal      bool
	// Instant: the guest stood. Torn says what else changed while it was read.
	Instant bool
	Torn    string
	// Stopped is for how long the guest stood for the dump.
	Stopped time.Duration
	Began   time.Time
	Took    time.Duration
	Notes   []string
	// Parts tell what memory the dump holds.
	Parts []DumpPart
}

// DumpPart is a part of the memory in a dump.
type DumpPart struct {
	Name   string
	Pieces int
	Bytes  uint64
	// Texts counts readable texts by their kind, but in what the image has
	// itself.
	Texts map[string]int
}

// WriteDump writes a dump of the guest: an ELF core in a zstd file with a seek
// table, which core:FILE opens. A running guest that is observed goes on running;
// the dump then says that it is not of one instant.
func (s *Session) WriteDump(ctx context.Context, w io.Writer, opt WriteOptions) (st DumpStats, err error) {
	st = DumpStats{Minimal: opt.Minimal, Began: time.Now()}
	before := s.past
	if opt.Pause && s.Observing() && !s.standing(ctx) {
		if _, brief := s.observer.(*brief); brief {
			return st, mark(errors.New("--pause stops the guest for the whole dump, --max-pause does not: give one of them"), ErrUsage)
		}
		if err := s.TakeOver(ctx); err != nil {
			return st, err
		}
		defer func() {
			_, rerr := s.Release(context.WithoutCancel(ctx))
			err = errors.Join(err, rerr)
			st.Stopped = s.past.Stopped - before.Stopped
		}()
	}
	st.Instant = s.standing(ctx)
	defer func() {
		if s.behind != nil {
			err = errors.Join(err, s.behind.Close())
			s.behind = nil
		}
	}()
	if opt.Minimal {
		defer s.readBehind(ctx)()
	}
	d, of, read, err := s.planDump(ctx, opt, &st)
	if err != nil {
		return st, err
	}
	st.Pieces, st.CPUs = len(d.Extents), len(d.CPUs)
	total := uint64(0)
	for _, e := range d.Extents {
		total += e.Size
	}
	z, err := seekzstd.NewWriter(w)
	if err != nil {
		return st, err
	}
	done := uint64(0)
	parts := dumpParts{of: of}
	d.Info.Began, d.Info.Ended = st.Began, time.Now()
	_, err = d.Write(ctx, z, func(ctx context.Context, p []byte, phys uint64) error {
		if err := read(ctx, p, phys); err != nil {
			return err
		}
		done += uint64(len(p))
		parts.add(phys, p)
		if opt.Progress != nil {
			opt.Progress(done, total)
		}
		return nil
	})
	if cerr := z.Close(); err == nil {
		err = cerr
	}
	st.Parts = parts.list
	st.Size, st.Memory, st.Took = z.Size(), int64(total), time.Since(st.Began)
	return st, err
}

// standing reports whether nothing in the guest moves while it is read.
func (s *Session) standing(ctx context.Context) bool {
	if s.observer != nil && s.live == nil {
		status := s.observer.Status() // as it was when the VM was opened
		if _, ok := s.observer.(*brief); ok {
			return status != "running" // asking would stop it, and then it stands
		}
		if m, ok := s.observer.(target.Monitor); ok {
			if text, err := m.Monitor(ctx, "info status"); err == nil {
				status = strings.TrimSpace(strings.TrimPrefix(text, "VM status:"))
			}
		}
		return status != "" && status != "running"
	}
	if s.dump != nil {
		info, known := s.dump.Info()
		return !known || info.Instant
	}
	return true
}

// reader fills p with guest memory at a physical address.
type physReader func(ctx context.Context, p []byte, phys uint64) error

// planDump finds out what a dump is to hold, and how that is read.
func (s *Session) planDump(ctx context.Context, opt WriteOptions, st *DumpStats) (*dumpfile.Dump, func(phys uint64) string, physReader, error) {
	d := &dumpfile.Dump{Arch: s.arch, Info: dumpfile.Info{
		Writer: opt.Writer, Target: s.asked.String(), Instant: st.Instant, Minimal: opt.Minimal, StopCPU: int(s.stopCPU),
	}}
	if s.image != nil && s.warning == "" {
		d.Info.Image = &dumpfile.Image{
			Name: filepath.Base(s.opt.Image), Hash: s.image.ContentHash(), BuildID: s.image.BuildID(), Slide: dumpfile.Hex(s.mapping.Slide),
		}
	}
	if s.kernel != nil {
		d.Info.Kernel = strings.TrimSpace(s.kernel.Name() + " " + s.kernel.Version())
	}
	var read physReader
	var err error
	of := func(uint64) string { return "all memory" }
	if opt.Minimal {
		of, read, err = s.planMinimal(ctx, opt, d)
	} else {
		read, err = s.planFull(ctx, d)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	err = s.dumpCPUs(ctx, d)
	st.Torn, st.Notes = d.Info.Torn, d.Info.Notes
	return d, of, read, err
}

// dumpCPUs reads every processor's state.
func (s *Session) dumpCPUs(ctx context.Context, d *dumpfile.Dump) error {
	sr, _ := s.machine.machine.(target.SystemRegisters)
	for _, cpu := range s.cpus {
		regs, err := s.machine.ReadRegisters(ctx, cpu)
		if err != nil {
			return fmt.Errorf("registers of CPU %d: %w", cpu, err)
		}
		c := dumpfile.CPU{Regs: regs}
		if sr != nil {
			if c.System, err = sr.ReadSystemRegisters(ctx, cpu); errors.Is(err, target.ErrLost) {
				return mark(err, ErrUnreachable)
			}
		}
		d.CPUs = append(d.CPUs, c)
	}
	if len(d.CPUs) == 0 {
		d.Info.Notes = append(d.Info.Notes, "no registers: this way to the guest shows none")
	}
	return nil
}

// tables tells the address space and what it maps.
func (s *Session) dumpTables(ctx context.Context, d *dumpfile.Dump) (root mmu.Root, phys target.Memory, tables []mmu.Table, err error) {
	root, phys, err = s.addressSpace(ctx)
	if err != nil {
		return root, phys, nil, err
	}
	tables, maps, err := root.Survey(ctx, phys)
	if err != nil && !errors.Is(err, mmu.ErrSurvey) {
		return root, phys, nil, err
	}
	for _, m := range maps {
		d.Maps = append(d.Maps, dumpfile.Mapping(m))
	}
	d.Info.Tables = &dumpfile.Tables{Format: "identity"}
	if cr3, five, ok := root.Registers(); ok {
		d.Info.Tables = &dumpfile.Tables{Format: "x86", CR3: dumpfile.Hex(cr3), LA57: five}
	}
	if tcr, ttbr0, ttbr1, ok := root.ARM64Registers(); ok {
		d.Info.Tables = &dumpfile.Tables{Format: "arm64", TCR: dumpfile.Hex(tcr), TTBR0: dumpfile.Hex(ttbr0), TTBR1: dumpfile.Hex(ttbr1)}
	}
	return root, phys, tables, nil
}

// dumpFacts tells about a dump of ukdbg's own: name and value.
func (s *Session) dumpFacts() [][2]string {
	info, ok := s.dump.Info()
	if !ok {
		return nil
	}
	out := [][2]string{{"written by", fmt.Sprintf("%s, %s", info.Writer, info.Began.Format(time.RFC3339))}, {"of", info.Target}}
	if info.Image != nil {
		out = append(out, [2]string{"of the image", info.Image.Name + ", " + info.Image.Hash})
	}
	return out
}

// dumpLimits says what a dump of ukdbg's own must be read with.
func (s *Session) dumpLimits() []string {
	if s.dump == nil {
		return nil
	}
	if _, ok := s.dump.Info(); !ok {
		return nil
	}
	return s.dump.Notes()
}
