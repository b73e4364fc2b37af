package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/ukdbg/ukdbg/corefile"
	"github.com/ukdbg/ukdbg/corefile/coretest"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/target/arch"
)

// dumpFile is one dump of the guest and what the verbs need beside its name.
type dumpFile struct {
	format string
	file   string
	flags  []string
	// bare: the format has no registers, so that what ran is not known.
	bare bool
}

// readingVerbs are what reads a guest, as verbs and as the commands of a session.
// What they print is the same for a guest and for each dump of it. Each format
// is asked the first few, some all.
func readingVerbs(all bool) [][]string {
	verbs := [][]string{
		{"threads", "--stacks"},
		{"attach", "--batch", "--ex", "threads", "--ex", "bt all", "--ex", "info registers", "--ex", "print server", "--ex", "ptype server",
			"--ex", "heap", "--ex", "trace 5", "--ex", "x/8i $pc", "--ex", "x/2xg $sp", "--ex", "disassemble serve"},
		{"heap"}, {"trace", "list"}, {"trace", "summary"}, {"trace", "waits"}, {"heap", "--json"},
	}
	if all {
		return verbs
	}
	return verbs[:2]
}

// TestDumpFormats dumps a paused guest in every format there is a tool for, and
// writes those nobody has here from the same memory and registers. Each says
// what the guest says behind its stub.
func TestDumpFormats(t *testing.T) {
	for _, tt := range []struct {
		image string
		smp   int
	}{{"ukguest-x86_64", 2}, {"ukguest-arm64", 1}} {
		t.Run(tt.image, func(t *testing.T) {
			g := boot(t, guesttest.Options{Image: tt.image, GDB: "tcp", SMP: tt.smp, MemMiB: 32})
			g.WaitConsole(t, "requests served", patience)
			g.pause(t, true)
			said := map[string]string{}
			for _, words := range readingVerbs(true) {
				said[strings.Join(words, " ")] = afterBanner(mustVerb(t, verbLine(words, g.GDBAddr(), g.Debug, nil)...))
			}
			for _, d := range dumpAll(t, g, t.TempDir()) {
				t.Run(d.format, func(t *testing.T) {
					for _, words := range readingVerbs(d.bare || strings.HasPrefix(d.format, "QEMU")) {
						name := strings.Join(words, " ")
						if d.bare && words[0] != "heap" && words[0] != "trace" {
							continue
						}
						out := afterBanner(mustVerb(t, verbLine(words, d.file, g.Debug, d.flags)...))
						if out != said[name] {
							t.Errorf("%s: %s\nof the guest: %s\nof the dump:  %s", name, difference(said[name], out), said[name], out)
						}
					}
					if d.bare {
						stacksWithoutRegisters(t, said["threads --stacks"], mustVerb(t, verbLine([]string{"threads", "--stacks"}, d.file, g.Debug, d.flags)...), tt.smp)
					}
					prof := filepath.Join(t.TempDir(), "p.pb.gz")
					if out := mustVerb(t, verbLine([]string{"profile", "-o", prof}, d.file, g.Debug, d.flags)...); !strings.Contains(out, "worker_main") {
						t.Errorf("profile of the threads' stacks:\n%s", out)
					}
				})
			}
		})
	}
}

// stacksWithoutRegisters compares the stacks of what did not run, which need no
// registers.
func stacksWithoutRegisters(t *testing.T, guest, dump string, running int) {
	t.Helper()
	compared, skipped := 0, 0
	for _, block := range strings.Split(strings.TrimSpace(guest), "\n\n")[1:] {
		head, _, _ := strings.Cut(block, "\n")
		switch {
		case strings.Contains(dump, block):
			compared++
		case strings.Contains(dump, head+"\nit runs on a processor whose registers are not known"):
			skipped++
		default:
			t.Errorf("no such stack without registers:\n%s\nbut:\n%s", block, dump)
		}
	}
	if compared < 5 || skipped > running {
		t.Errorf("%d stacks compared, %d without registers, of %d processors", compared, skipped, running)
	}
}

func verbLine(words []string, at, image string, flags []string) []string {
	return slices.Concat(words, []string{at, "-e", image}, flags)
}

// afterBanner drops the lines that tell of the way to the guest.
func afterBanner(out string) string {
	var kept []string
	for line := range strings.Lines(out) {
		// Only a stub shows TPIDR_EL1.
		if !strings.Contains(line, " · ") && !strings.HasPrefix(line, "stopped in") && !strings.HasPrefix(line, "TPIDR_EL1") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// difference is the first line that differs.
func difference(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(la), len(lb)) {
		if la[i] != lb[i] {
			return fmt.Sprintf("line %d: %q, not %q", i+1, lb[i], la[i])
		}
	}
	return fmt.Sprintf("%d lines, not %d", len(lb), len(la))
}

// dumpAll makes a dump of each format.
func dumpAll(t *testing.T, g *guest, dir string) []dumpFile {
	t.Helper()
	var all []dumpFile
	add := func(format string, data []byte) {
		all = append(all, dumpFile{format: format, file: write(t, dir, format, data)})
	}
	qemu := func(format string, args map[string]any) string {
		t.Helper()
		file := filepath.Join(dir, strings.ReplaceAll(format, " ", "-"))
		args["protocol"] = "file:" + file
		if _, ok := args["paging"]; !ok {
			args["paging"] = false
		}
		g.QMP(t, "dump-guest-memory", args)
		all = append(all, dumpFile{format: format, file: file})
		return file
	}
	qemu("QEMU ELF, detached", map[string]any{"detach": true}) // the first: query-dump tells of the last one too
	waitDump(t, g)
	plain := qemu("QEMU ELF", map[string]any{})
	flat := qemu("QEMU kdump-zlib", map[string]any{"format": "kdump-zlib"})
	if g.Image.Arch == "x86_64" {
		qemu("QEMU ELF, paging=on", map[string]any{"paging": true})
	}
	elfDump, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	var gz, zs bytes.Buffer
	z := gzip.NewWriter(&gz)
	copyAll(t, z, elfDump)
	e, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, e, elfDump)
	add("QEMU ELF, gzip", gz.Bytes())
	add("QEMU ELF, zstd", zs.Bytes())

	machine := machineOf(t, plain)
	classic := write(t, dir, "classic.elf", machine.Bytes())
	for _, m := range []struct {
		format string
		args   []string
	}{{"makedumpfile zlib", []string{"-c"}}, {"makedumpfile LZO", []string{"-l"}}, {"makedumpfile ELF", []string{"-E"}}, {"makedumpfile plain", nil}} {
		file := filepath.Join(dir, strings.ReplaceAll(m.format, " ", "-"))
		makedumpfile(t, nil, nil, slices.Concat(m.args, []string{"-d", "0", classic, file})...)
		all = append(all, dumpFile{format: m.format, file: file})
		var out bytes.Buffer
		makedumpfile(t, nil, &out, slices.Concat(m.args, []string{"-F", "-d", "0", classic})...)
		add(m.format+", flattened", out.Bytes())
	}
	rearranged := filepath.Join(dir, "rearranged")
	in, err := os.Open(flat)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	makedumpfile(t, in, nil, "-R", rearranged)
	all = append(all, dumpFile{format: "makedumpfile -R of QEMU kdump-zlib", file: rearranged})
	// Not in Debian's builds of QEMU and makedumpfile.
	add("kdump snappy", machine.Kdump(coretest.KdumpOptions{Pack: "snappy"}))
	add("kdump zstd", machine.Kdump(coretest.KdumpOptions{Pack: "zstd"}))

	base, size := ramOf(machine)
	ram := filepath.Join(dir, "ram")
	g.QMP(t, "pmemsave", map[string]any{"val": base, "size": size, "filename": ram})
	all = append(all, dumpFile{format: "raw RAM", file: ram, bare: true},
		dumpFile{format: "raw RAM --base", file: ram, flags: []string{"--base", fmt.Sprintf("%#x", base)}, bare: true})
	if g.Image.Arch == "x86_64" {
		add("Xen HVM", wholePages(machine).Xen(coretest.XenOptions{}))
		add("Xen PV", wholePages(machine).Xen(coretest.XenOptions{PV: true, Machine: func(pfn uint64) uint64 { return pfn }}))
	}
	for i, opt := range []coretest.FirecrackerOptions{{}, {Bare: true, Region: 1}, {Region: 2}} {
		state, memory := onlyRAM(machine, base, size).Firecracker(opt)
		all = append(all, dumpFile{format: fmt.Sprintf("Firecracker form %d", i), file: write(t, dir, fmt.Sprintf("state%d", i), state),
			flags: []string{"--memory", write(t, dir, fmt.Sprintf("memory%d", i), memory)}})
	}
	if len(machine.CPUs) == 1 {
		add("Solo5", onlyRAM(machine, base, size).Solo5())
		add("Nanos", onlyRAM(machine, base, size).Process(3, 0, nil))
	}
	return all
}

func leUint(b []byte) (v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

func waitDump(t *testing.T, g *guest) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if text := string(g.QMP(t, "query-dump", nil)); strings.Contains(text, `"status": "completed"`) {
			return
		} else if strings.Contains(text, "failed") || time.Now().After(deadline) {
			t.Fatalf("query-dump: %s", text)
		}
	}
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func copyAll(t *testing.T, w io.WriteCloser, data []byte) {
	t.Helper()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func makedumpfile(t *testing.T, in io.Reader, out io.Writer, args ...string) {
	t.Helper()
	cmd := exec.Command("makedumpfile", args...)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("makedumpfile %q (make tools installs it): %v\n%s", args, err, errs.String())
	}
}

// machineOf reads QEMU's ELF dump by the standard library, and the registers by
// package corefile, whose own test compares them with QEMU's.
func machineOf(t *testing.T, file string) coretest.Dump {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := coretest.Dump{Machine: f.Machine}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			data, err := io.ReadAll(p.Open())
			if err != nil {
				t.Fatal(err)
			}
			out.Memory = append(out.Memory, coretest.Segment{Phys: p.Paddr, Data: data})
		}
	}
	d, err := corefile.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cpus, err := d.CPUs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, cpu := range cpus {
		regs, err := d.ReadRegisters(t.Context(), cpu)
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]uint64{}
		for _, r := range d.Arch().Regs {
			if v, ok := regs.Get(r.Num); ok {
				values[r.Name] = v
			}
		}
		sys, err := d.ReadSystemRegisters(t.Context(), cpu)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range sys {
			values[name] = leUint(v)
		}
		c := coretest.CPU{X86: values}
		if d.Arch() == arch.ARM64 {
			c = coretest.CPU{ARM64: values}
		}
		out.CPUs = append(out.CPUs, c)
	}
	return out
}

// ramOf is where the machine's RAM lies: from the first segment to the end of the
// one with the guest's code in it.
func ramOf(d coretest.Dump) (base, size uint64) {
	base = d.Memory[0].Phys
	if d.Machine == elf.EM_AARCH64 {
		base = 1 << 30
	}
	for _, s := range d.Memory {
		if s.Phys < base+32<<20 && s.Phys+uint64(len(s.Data)) > base {
			size = max(size, s.Phys+uint64(len(s.Data))-base)
		}
	}
	return base, size
}

// onlyRAM is the machine with its RAM in one segment.
func onlyRAM(d coretest.Dump, base, size uint64) coretest.Dump {
	ram := make([]byte, size)
	for _, s := range d.Memory {
		if s.Phys >= base && s.Phys-base < size {
			copy(ram[s.Phys-base:], s.Data)
		}
	}
	d.Memory = []coretest.Segment{{Phys: base, Data: ram}}
	return d
}

// wholePages is the machine without what is no whole page.
func wholePages(d coretest.Dump) coretest.Dump {
	var all []coretest.Segment
	for _, s := range d.Memory {
		if s.Phys%4096 == 0 && len(s.Data)%4096 == 0 {
			all = append(all, s)
		}
	}
	d.Memory = all
	return d
}
