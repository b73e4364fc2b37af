package inimage

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/repl"
)

const patience = 60 * time.Second

// guest is a VM whose second serial port is its own stub's.
type guest struct {
	*guesttest.VM
	symbols map[string]uint64
	code    func(addr uint64, n int) []byte // link-time bytes
}

func boot(t *testing.T, arch, serial, options string) *guest {
	t.Helper()
	g := &guest{
		VM:      guesttest.Start(t, guesttest.Options{Image: "ukguest-" + arch, Serial2: serial, Append: options}),
		symbols: map[string]uint64{},
	}
	f, err := elf.Open(g.Debug)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	list, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		g.symbols[s.Name] = s.Value
	}
	section := f.Section(".text")
	text, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	g.code = func(addr uint64, n int) []byte { return text[addr-section.Addr:][:n] }
	return g
}

// waits blocks until the guest stands in its boot wait: bytes sent earlier would
// stay in the serial port.
func (g *guest) waits(t *testing.T) {
	t.Helper()
	g.eventually(t, "the guest waits at boot", func() bool {
		// The CPU inside the stub, -1 for none.
		return strings.Contains(g.HMP(t, fmt.Sprintf("x /1wx %#x", g.symbols["owner"])), ": 0x00000000")
	})
}

func (g *guest) eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after %v: %s; console:\n%s", patience, what, g.Console())
		}
	}
}

var dumped = regexp.MustCompile(`0x([0-9a-f]{2})\b`)

// unpatched fails if the text at any of the functions is not the image's.
func (g *guest) unpatched(t *testing.T, functions ...string) {
	t.Helper()
	for _, name := range functions {
		at, ok := g.symbols[name]
		if !ok {
			t.Fatalf("the image has no symbol %s", name)
		}
		want := g.code(at, 32)
		var got []byte
		for _, m := range dumped.FindAllStringSubmatch(g.HMP(t, fmt.Sprintf("x /32bx %#x", at)), -1) {
			v, err := strconv.ParseUint(m[1], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, byte(v))
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is % x, want % x", name, got, want)
		}
	}
}

// serves fails if the guest does no work.
func (g *guest) serves(t *testing.T) {
	t.Helper()
	before := len(g.Console())
	g.eventually(t, "the guest reports its work", func() bool { return len(g.Console()) > before })
}

func (g *guest) open(t *testing.T) (*ukdbg.Session, error) {
	return ukdbg.Open(t.Context(), ukdbg.Options{
		Target: g.Serial2Addr(), Image: g.Debug,
		SourceMap: []ukdbg.SourceMap{{From: images.SourcePrefix, To: guesttest.SourceRoot(t)}},
	})
}

// dialogue is a REPL that is told commands one by one.
type dialogue struct {
	*repl.REPL
	t   *testing.T
	s   *ukdbg.Session
	out *output
}

// output is written by the REPL and looked at by the test.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (g *guest) attach(t *testing.T) *dialogue {
	t.Helper()
	s, err := g.open(t)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Leave(context.Background()) }) // again is no harm
	out := &output{}
	d := &dialogue{REPL: repl.New(s, repl.Options{Out: out}), t: t, s: s, out: out}
	d.Welcome(t.Context())
	return d
}

// says runs a command and wants each of the texts in what it prints.
func (d *dialogue) says(command string, texts ...string) string {
	d.t.Helper()
	before := len(d.out.text())
	_ = d.Execute(d.t.Context(), command) // an error is printed, too
	said := d.out.text()[before:]
	for _, want := range texts {
		if !strings.Contains(said, want) {
			d.t.Fatalf("%s: no %q in\n%s", command, want, said)
		}
	}
	return said
}

// leave ends the session and wants the guest running.
func (d *dialogue) leave() {
	d.t.Helper()
	f, err := d.s.Leave(d.t.Context())
	if err != nil || !f.Running {
		d.t.Fatalf("left with %+v, %v", f, err)
	}
}

func eachWay(t *testing.T, f func(t *testing.T, arch, serial string)) {
	for _, arch := range []string{"x86_64", "arm64"} {
		for _, serial := range []string{"pty", "tcp"} {
			t.Run(arch+"/"+serial, func(t *testing.T) { f(t, arch, serial) })
		}
	}
}

// crossed is each architecture one way, each way once.
func crossed(t *testing.T, f func(t *testing.T, arch, serial string)) {
	t.Run("x86_64/pty", func(t *testing.T) { f(t, "x86_64", "pty") })
	t.Run("arm64/tcp", func(t *testing.T) { f(t, "arm64", "tcp") })
}
