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
	// alike are records of requests that are all the same.
	alike     []byte
	alikeFile string
	ctf       string
	decoder   string // the C program
	defs      *tracebuf.Definitions
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
		dir: dir, defsFile: filepath.Join(dir, "defs"), bufFile: filepath.Join(dir, "buffer"), recording: filepath.Join(dir, "trace"), alikeFile: filepath.Join(dir, "alike"),
		ctf: filepath.Join(dir, "ctf"), decoder: filepath.Join(dir, "decode"),
	}
	var cookies []uint64
	for _, p := range tracePoints {
		cookies = append(cookies, tracePointsAt+uint64(len(f.section)))
		f.section = appendDefinition(f.section, p, cookies[len(cookies)-1])
	}
	f.buffer = appendRecords(nil, cookies, traceEvents, 0, false)
	f.alike = appendRecords(nil, cookies, traceEvents, 0, true)
	var err error
	if f.defs, err = tracebuf.ParseDefinitions(f.section); err != nil {
		return nil, err
	}
	source := filepath.Join(dir, "decode.c")
	if err := errors.Join(os.WriteFile(source, decodeC, 0o600), os.WriteFile(f.defsFile, f.section, 0o600), os.WriteFile(f.bufFile, f.buffer, 0o600), os.WriteFile(f.alikeFile, f.alike, 0o600)); err != nil {
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

// The tracepoints by what they are called below.
const (
	serve = iota
	serveRet
	open
	openRet
	read
	readRet
	cacheHit
	unlock
)

// records makes records as a server would write them.
type records struct {
	cookies []uint64
	time    uint64
	rnd     uint64
	buf     []byte
	n       int
}

func (r *records) next() uint64 {
	r.rnd ^= r.rnd << 13
	r.rnd ^= r.rnd >> 7
	r.rnd ^= r.rnd << 17
	return r.rnd
}

// appendRecords appends n records from a time on. Requests differ as those of a
// server do: some are answered from the cache, the others read a file in one to
// four pieces, and some contend for a lock. With alike, all are the same eight
// records, which a processor learns to foresee and no guest writes.
func appendRecords(b []byte, cookies []uint64, n int, time uint64, alike bool) []byte {
	r := &records{cookies: cookies, time: time, rnd: 88172645463325252, buf: b}
	for r.n < n {
		r.add(n, serve)
		hit, pieces, lock := true, 1, true
		if !alike {
			hit, pieces, lock = r.next()%2 == 0, 1+int(r.next()%4), r.next()%2 == 0
		}
		if !hit || alike {
			r.add(n, open)
			r.add(n, openRet)
			for range pieces {
				r.add(n, read)
				r.add(n, readRet)
			}
		}
		if hit {
			r.add(n, cacheHit)
		}
		if lock {
			r.add(n, unlock)
		}
		r.add(n, serveRet)
	}
	return r.buf
}

// add appends one record unless there are n.
func (r *records) add(n, at int) {
	if r.n == n {
		return
	}
	r.n++
	r.time += 200 + r.next()%5000
	start := len(r.buf)
	b := append(r.buf, "TRhd\x00\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint64(b, r.time)
	b = binary.LittleEndian.AppendUint64(b, r.cookies[at])
	for _, a := range []byte(tracePoints[at].args) {
		v := r.next()
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
	r.buf = b
}

// decode compares the bare loops in process and returns ours in ns. Both read
// each record of the same bytes in memory into a typed record: time, definition
// and every argument, integers at full width, strings as a reference into the
// buffer; both check magic, size, cookie and that the arguments end where the
// size says.
func (f *traceFiles) decode(page *strings.Builder, n int) (float64, error) {
	ours, err := f.decodeRow(page, n, "requests that differ, as a server's do", f.buffer, f.bufFile)
	if err != nil {
		return 0, err
	}
	_, err = f.decodeRow(page, n, "the same eight records again and again, which the processor's branch predictor knows by heart", f.alike, f.alikeFile)
	return ours, err
}

func (f *traceFiles) decodeRow(page *strings.Builder, n int, what string, buffer []byte, file string) (float64, error) {
	var ours, theirs, ratios []float64
	for range n {
		var own []float64
		for range 3 {
			began := time.Now()
			if _, records := f.decodeOnce(buffer); records != traceEvents {
				return 0, fmt.Errorf("decoded %d records of %d", records, traceEvents)
			}
			own = append(own, float64(time.Since(began).Nanoseconds()))
		}
		ours = append(ours, median(own))
		text, err := exec.Command(f.decoder, f.defsFile, file, "time", "3").Output()
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
	allocs := testing.AllocsPerRun(1, func() { f.decodeOnce(buffer) })
	fmt.Fprintf(page, "| decode 1 M records (%.1f MB; %s) to typed records, in process, one core: ms | %s, %.0f allocations in all | the same loop in C, gcc -O2: %s | %.2f × (%.2f–%.2f) | at least 0.6, 0 allocations a record |\n",
		float64(len(buffer))/1e6, what, spread(scaled(ours, 1e6)), allocs, spread(scaled(theirs, 1e6)), median(ratios), slices.Min(ratios), slices.Max(ratios))
	return median(ours), nil
}

func (f *traceFiles) decodeOnce(buffer []byte) (sum uint64, n int) {
	sc := tracebuf.NewScanner(buffer, f.defs, 0)
	for sc.Decode() {
		if v := sc.Values(); len(v) > 0 {
			sum += sc.Record().Time + v[0].Num
			n++
		}
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
		began := time.Now()
		if err := f.summaryOnce(); err != nil {
			return err
		}
		took = append(took, float64(time.Since(began).Nanoseconds()))
		began = time.Now()
		f.decodeOnce(f.buffer)
		ratios = append(ratios, took[len(took)-1]/float64(time.Since(began).Nanoseconds()))
	}
	fmt.Fprintf(page, "| summary with percentiles of 1 M records, in process, one core: ms | %s | the bare decoding: %.1f | ukdbg / decoding %.2f × (%.2f–%.2f) | at most 1.5 |\n",
		spread(scaled(took, 1e6)), decode/1e6, median(ratios), slices.Min(ratios), slices.Max(ratios))
	return nil
}

func (f *traceFiles) summaryOnce() error {
	sum := analysis.NewSummary()
	g := &stream.Guest{Definitions: f.defs}
	totals, err := new(analysis.Query).Run([]stream.Source{stream.NewSnapshot(g, recording.Data{}, f.buffer)}, sum.Visitor())
	if err != nil {
		return err
	}
	if totals.Records != traceEvents || totals.Spans == 0 {
		return fmt.Errorf("the summary saw %d records and %d spans", totals.Records, totals.Spans)
	}
	return nil
}

// memory reads a long recording from a pipe: 20 GiB of records with BIG=1.
func (f *traceFiles) memory(page *strings.Builder, ukdbg string) error {
	size := int64(1 << 30)
	if os.Getenv("BIG") != "" {
		size = 20 << 30
	}
	cmd := exec.Command(ukdbg, "trace", "summary", "-")
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
	peak, perr := peakMemory(cmd.Process.Pid)
	if err := errors.Join(err, perr, in.Close(), cmd.Wait()); err != nil {
		return fmt.Errorf("%w: %s", err, out.String())
	}
	if !strings.Contains(out.String(), fmt.Sprintf("%d records in", records)) {
		return fmt.Errorf("of %d records the summary says %s", records, out.String())
	}
	fmt.Fprintf(page, "| memory of a summary of a recording of %d GiB (%d M records): MiB | %.0f | – | – | at most 128 |\n",
		size>>30, records/1e6, peak/1024)
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
