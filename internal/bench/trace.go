package main

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/tracebuf"
	"github.com/ukdbg/ukdbg/tracebuf/analysis"
	"github.com/ukdbg/ukdbg/tracebuf/recording"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// traceEvents is how many records the comparisons read.
const traceEvents = 1_000_000

//go:embed trace_decode.c.txt
var decodeC []byte

// traceFiles are the same records in the forms the programs read.
type traceFiles struct {
	dir                          string
	section, buffer              []byte
	defsFile, bufFile, recording string
	ctf                          string
	decoder                      string // the C program
	defs                         *tracebuf.Definitions
}

// traces compares decoding, listing and summing up of a million records.
func traces(page *strings.Builder, ukdbg, dir string, n int) error {
	f, err := makeTraces(ukdbg, dir)
	if err != nil {
		return err
	}
	decode, err := f.decode(page, n)
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "list.txt")
	oneCore := []string{"taskset", "-c", "0"}
	list := []string{ukdbg, "trace", "list", f.recording}
	err = errors.Join(
		work{
			name: "1 M records as text to a file, one core", goal: "at least 6",
			a: command{label: "ukdbg", args: append(append(slices.Clone(oneCore), "env", "GOMAXPROCS=1"), list...), out: out},
			b: command{label: "babeltrace2", args: append(slices.Clone(oneCore), "babeltrace2", f.ctf), out: out + ".bt"},
		}.measure(page, min(n, 5)),
		work{
			name: "1 M records as text to a file, all cores", goal: "above 1",
			a: command{label: "ukdbg", args: list, out: out},
			b: command{label: "C, from the raw buffer", args: []string{f.decoder, f.defsFile, f.bufFile, "list", out + ".c"}},
		}.measure(page, n),
	)
	if err != nil {
		return err
	}
	if err := sameLines(out, out+".c"); err != nil {
		return err
	}
	if err := f.summary(page, decode, n); err != nil {
		return err
	}
	return f.memory(page, ukdbg)
}

// sameLines compares what both wrote; ukdbg adds what it says of the whole.
func sameLines(ours, theirs string) error {
	a, err := os.ReadFile(ours)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(theirs)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(a, b) || bytes.Count(b, []byte("\n")) != traceEvents {
		return fmt.Errorf("the C program and ukdbg list different lines: %s, %s", ours, theirs)
	}
	return nil
}

// tracePoint is a tracepoint of the made-up image.
type tracePoint struct {
	name, format string
	args         string // s for a text, else the size of the integer
}

var tracePoints = []tracePoint{
	{"request_serve", "id=%lu path=%s fd=%d", "8s4"},
	{"request_serve_ret", "id=%lu bytes=%lu", "88"},
	{"vfs_open", "\"%s\" 0x%x", "s4"},
	{"vfs_open_ret", "%d", "4"},
	{"vfs_read", "fd=%d buf=%p len=%lu off=%#lx", "4888"},
	{"vfs_read_ret", "%ld", "8"},
	{"cache_hit", "%s hash=%x hits=%u", "s42"},
	{"mutex_unlock", "mutex=%p contended=%d", "84"},
}

const tracePointsAt = 0x140000

// makeTraces writes the files. The records are the same each time.
func makeTraces(ukdbg, dir string) (*traceFiles, error) {
	f := &traceFiles{
		dir: dir, defsFile: filepath.Join(dir, "defs"), bufFile: filepath.Join(dir, "buffer"), recording: filepath.Join(dir, "trace"),
		ctf: filepath.Join(dir, "ctf"), decoder: filepath.Join(dir, "decode"),
	}
	var cookies []uint64
	for _, p := range tracePoints {
		cookies = append(cookies, tracePointsAt+uint64(len(f.section)))
		f.section = appendDefinition(f.section, p, cookies[len(cookies)-1])
	}
	f.buffer = appendRecords(nil, cookies, traceEvents, 0)
	var err error
	if f.defs, err = tracebuf.ParseDefinitions(f.section); err != nil {
		return nil, err
	}
	source := filepath.Join(dir, "decode.c")
	if err := errors.Join(os.WriteFile(source, decodeC, 0o600), os.WriteFile(f.defsFile, f.section, 0o600), os.WriteFile(f.bufFile, f.buffer, 0o600)); err != nil {
		return nil, err
	}
	if text, err := exec.Command("gcc", "-O2", "-o", f.decoder, source).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the C decoder: %w: %s", err, text)
	}
	file, err := os.Create(f.recording)
	if err != nil {
		return nil, err
	}
	w := recording.NewWriter(file, 0)
	err = w.Start(recording.Start{Instance: "bench", Name: "bench"}, f.section)
	if err == nil {
		_, err = w.Records(recording.Data{}, f.buffer, f.defs)
	}
	if err := errors.Join(err, w.End(recording.End{Records: traceEvents}), file.Close()); err != nil {
		return nil, err
	}
	if text, err := exec.Command(ukdbg, "trace", "export", f.recording, "--format", "ctf", "-o", f.ctf).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("writing CTF: %w: %s", err, text)
	}
	return f, nil
}

func appendDefinition(b []byte, p tracePoint, cookie uint64) []byte {
	var sizes, types []byte
	for _, a := range []byte(p.args) {
		if a == 's' {
			sizes, types = append(sizes, 8), append(types, 1)
		} else {
			sizes, types = append(sizes, a-'0'), append(types, 0)
		}
	}
	size := (19 + 2*len(sizes) + len(p.name) + len(p.format) + 2 + 31) &^ 31
	start := len(b)
	b = append(b, "TPde"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint64(b, cookie)
	b = append(b, byte(len(sizes)), byte(len(p.name)+1), byte(len(p.format)+1))
	b = append(append(b, sizes...), types...)
	b = append(append(b, p.name...), 0)
	b = append(append(b, p.format...), 0)
	return append(b, make([]byte, start+size-len(b))...)
}

var tracePaths = []string{"/etc/hosts", "/index.html", "/www/a/b.css", "/cache/1f3a", "/tmp/x", "/app.js"}

// appendRecords appends n records as a server would write them, from a time on.
func appendRecords(b []byte, cookies []uint64, n int, time uint64) []byte {
	order := []int{0, 2, 3, 4, 5, 6, 7, 1}
	rnd := uint64(88172645463325252)
	next := func() uint64 {
		rnd ^= rnd << 13
		rnd ^= rnd >> 7
		rnd ^= rnd << 17
		return rnd
	}
	for i := range n {
		at := order[i%len(order)]
		time += 200 + next()%5000
		start := len(b)
		b = append(b, "TRhd\x00\x00\x00\x00"...)
		b = binary.LittleEndian.AppendUint64(b, time)
		b = binary.LittleEndian.AppendUint64(b, cookies[at])
		for _, a := range []byte(tracePoints[at].args) {
			v := next()
			switch a {
			case 's':
				s := tracePaths[v%uint64(len(tracePaths))]
				b = append(append(b, byte(len(s))), s...)
			case '2':
				b = binary.LittleEndian.AppendUint16(b, uint16(v%1000))
			case '4':
				b = binary.LittleEndian.AppendUint32(b, uint32(int32(v%2048)-3))
			default:
				b = binary.LittleEndian.AppendUint64(b, v%(1<<22))
			}
		}
		binary.LittleEndian.PutUint32(b[start+4:], uint32(len(b)-start-24))
	}
	return b
}

// decode compares the bare loops in process and returns ours in ns.
func (f *traceFiles) decode(page *strings.Builder, n int) (float64, error) {
	var ours, theirs, ratios []float64
	for range n {
		began := time.Now()
		if _, records := f.decodeOnce(); records != traceEvents {
			return 0, fmt.Errorf("decoded %d records of %d", records, traceEvents)
		}
		ours = append(ours, float64(time.Since(began).Nanoseconds()))
		text, err := exec.Command(f.decoder, f.defsFile, f.bufFile, "time", "3").Output()
		if err != nil {
			return 0, err
		}
		var ns float64
		var count int
		if _, err := fmt.Sscan(string(text), &ns, &count); err != nil || count != traceEvents {
			return 0, fmt.Errorf("the C decoder said %q", text)
		}
		theirs = append(theirs, ns)
		ratios = append(ratios, ns/ours[len(ours)-1])
	}
	allocs := testing.AllocsPerRun(1, func() { f.decodeOnce() })
	fmt.Fprintf(page, "| decode 1 M records (%.1f MB) to typed records, in process, one core: ms | %s, %.0f allocations in all | C: %s | %.2f × (%.2f–%.2f) | at least 0.6, 0 allocations a record |\n",
		float64(len(f.buffer))/1e6, spread(scaled(ours, 1e6)), allocs, spread(scaled(theirs, 1e6)), median(ratios), slices.Min(ratios), slices.Max(ratios))
	return median(ours), nil
}

func (f *traceFiles) decodeOnce() (sum uint64, n int) {
	var vals [8]tracebuf.Value
	sc := tracebuf.NewScanner(f.buffer, f.defs, 0)
	for sc.Scan() {
		r := sc.Record()
		if r.Problem != tracebuf.Good {
			continue
		}
		v := r.Values(vals[:0])
		sum += r.Time + v[0].Num + uint64(len(v[0].Str))
		n++
	}
	return sum, n
}

func scaled(v []float64, by float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = v[i] / by
	}
	return out
}

// summary compares a summary with percentiles with the bare decoding.
func (f *traceFiles) summary(page *strings.Builder, decode float64, n int) error {
	var took, ratios []float64
	for range n {
		sum := analysis.NewSummary()
		g := &stream.Guest{Definitions: f.defs}
		began := time.Now()
		totals, err := new(analysis.Query).Run([]stream.Source{stream.NewSnapshot(g, recording.Data{}, f.buffer)},
			analysis.Visitor{Interval: sum.Interval, Instant: sum.Instant})
		if err != nil {
			return err
		}
		took = append(took, float64(time.Since(began).Nanoseconds()))
		began = time.Now()
		f.decodeOnce()
		ratios = append(ratios, took[len(took)-1]/float64(time.Since(began).Nanoseconds()))
		if totals.Records != traceEvents || totals.Spans == 0 {
			return fmt.Errorf("the summary saw %d records and %d spans", totals.Records, totals.Spans)
		}
	}
	fmt.Fprintf(page, "| summary with percentiles of 1 M records, in process, one core: ms | %s | the bare decoding: %.1f | ukdbg / decoding %.2f × (%.2f–%.2f) | at most 1.5 |\n",
		spread(scaled(took, 1e6)), decode/1e6, median(ratios), slices.Min(ratios), slices.Max(ratios))
	return nil
}

// memory reads a long recording from a pipe: 20 GiB of records with BIG=1.
func (f *traceFiles) memory(page *strings.Builder, ukdbg string) error {
	size := int64(1 << 30)
	if os.Getenv("BIG") != "" {
		size = 20 << 30
	}
	cmd := exec.Command(ukdbg, "trace", "summary", "-")
	cmd.Env = append(os.Environ(), "GOGC=50")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	records, err := f.feed(in, size)
	if err := errors.Join(err, in.Close(), cmd.Wait()); err != nil {
		return fmt.Errorf("%w: %s", err, out.String())
	}
	if !strings.Contains(out.String(), fmt.Sprintf("%d records in", records)) {
		return fmt.Errorf("of %d records the summary says %s", records, out.String())
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("the system does not tell the memory a process used")
	}
	fmt.Fprintf(page, "| memory of a summary of a recording of %d GiB (%d M records): MiB | %.0f | – | – | at most 128 |\n",
		size>>30, records/1e6, float64(usage.Maxrss)/1024)
	return nil
}

// feed writes a recording of about size bytes of records.
func (f *traceFiles) feed(out io.Writer, size int64) (records int, err error) {
	w := recording.NewWriter(out, 0)
	if err := w.Start(recording.Start{Instance: "bench", Name: "bench"}, f.section); err != nil {
		return 0, err
	}
	var offsets []int
	sc := tracebuf.NewScanner(f.buffer, f.defs, 0)
	for sc.Scan() {
		offsets = append(offsets, sc.Record().Offset)
	}
	length := sc.Stats().Last + 1000
	data := bytes.Clone(f.buffer)
	for at := int64(0); at < size; at += int64(len(data)) {
		if _, err := w.Records(recording.Data{}, data, f.defs); err != nil {
			return records, err
		}
		records += len(offsets)
		for _, o := range offsets {
			t := data[o+8 : o+16]
			binary.LittleEndian.PutUint64(t, binary.LittleEndian.Uint64(t)+length)
		}
	}
	return records, nil
}
