package main

import (
	"bytes"
	"context"
	"debug/elf"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/guest/images"
	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// verb runs one command line in this process.
func verb(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	e := env{in: strings.NewReader(stdin), out: &out, err: &errs, getenv: func(string) string { return "" }}
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience) // a pause budget is earned slowly where stops are slow
	defer cancel()
	status = run(ctx, e, args)
	return status, out.String(), errs.String()
}

// mustVerb runs one command line that must end with status 0.
func mustVerb(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errs := verb(t, "", args...)
	if status != exitOK {
		t.Fatalf("ukdbg %s: status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

// listen answers each client with serve, and returns the address.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return "tcp:" + l.Addr().String()
}

// swallow reads until the client goes.
func swallow(c net.Conn) { io.Copy(io.Discard, c) }

// refusedPort is a port nobody listens on.
func refusedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "tcp:" + l.Addr().String()
}

// imageFiles are images of all the wrong kinds.
func imageFiles(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"text": filepath.Join(dir, "README.dbg"), "missing": filepath.Join(dir, "no.dbg")}
	for _, name := range []string{"ukguest-x86_64", "ukguest-arm64", "ukguest-x86_64-nofp"} {
		im, err := images.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		boot, dbg, err := im.Extract(dir)
		if err != nil {
			t.Fatal(err)
		}
		files[name], files[name+" boot"] = dbg, boot
	}
	good := files["ukguest-x86_64"]
	for kind, flag := range map[string]string{"no DWARF": "--strip-debug", "stripped": "--strip-all"} {
		files[kind] = filepath.Join(dir, strings.ReplaceAll(kind, " ", "-")+".dbg")
		if out, err := exec.Command("objcopy", flag, good, files[kind]).CombinedOutput(); err != nil {
			t.Fatalf("objcopy (binutils): %v: %s", err, out)
		}
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(kind string, data []byte) {
		files[kind] = filepath.Join(dir, kind+".dbg")
		if err := os.WriteFile(files[kind], data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("half", whole[:len(whole)/2])
	write("head", whole[:40])
	write("empty", nil)
	write("text", []byte("# Read me first\n"))
	return files
}

// oneLine fails unless the complaint is one clear line (and the hint of wrong
// usage), naming what it is about.
func oneLine(t *testing.T, status int, stderr, pattern string) {
	t.Helper()
	text, _ := strings.CutSuffix(stderr, "run 'ukdbg help' for what there is\n")
	if status != exitUsage && text != stderr {
		t.Error("the hint at the help is for wrong usage only")
	}
	if strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "ukdbg: ") {
		t.Errorf("not one line of complaint:\n%s", stderr)
	}
	if !regexp.MustCompile(pattern).MatchString(text) {
		t.Errorf("the complaint does not match %s:\n%s", pattern, stderr)
	}
}

func TestWrongUsage(t *testing.T) {
	files := imageFiles(t)
	good := files["ukguest-x86_64"]
	secret := filepath.Join(t.TempDir(), "folder.dbg")
	if err := os.Mkdir(secret, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args    []string
		status  int
		pattern string
	}{
		{[]string{"juggle"}, exitUsage, `no verb "juggle"`},
		{[]string{"threads"}, exitUsage, `want a TARGET, got 0 arguments`},
		{[]string{"threads", ":1", ":2"}, exitUsage, `want a TARGET, got 2 arguments`},
		{[]string{"threads", "--jason", ":1"}, exitUsage, `unknown flag: --jason`},
		{[]string{"attach", "tcp:localhost"}, exitUsage, `target "tcp:localhost": not HOST:PORT; want tcp:`},
		{[]string{"attach", "tcp:localhost:70000"}, exitUsage, `port is not a number from 1 to 65535`},
		{[]string{"attach", "gopher:x"}, exitUsage, `no such scheme or file`},
		{[]string{"attach", "no-such-dump"}, exitUsage, `target "no-such-dump": no such file`},
		{[]string{"attach", "serial:"}, exitUsage, `no device`},
		{[]string{"attach", ":1", "--source-map", "nonsense", "-e", good}, exitUsage, `want FROM=TO`},
		{[]string{"profile", ":1", "--hz", "0"}, exitUsage, `must be above 0`},
		{[]string{"profile", ":1", "-d", "soon"}, exitUsage, `invalid argument "soon"`},
		{[]string{"trace", "export", ":1"}, exitUsage, `either -o FILE or --to URL`},
		{[]string{"trace", "juggle"}, exitUsage, `no verb "trace juggle"`},
		{[]string{"symbolize", "0x1"}, exitUsage, `no image: give NAME.dbg with -e`},
		{[]string{"symbolize", "-e", good, "--slide", "far"}, exitUsage, `--slide: "far" is no hexadecimal address`},
		{[]string{"attach", ":1", "-e", files["missing"]}, exitUsage, `no\.dbg: no such file`},
		{[]string{"attach", ":1", "-e", secret}, exitUsage, `folder\.dbg.*(directory|folder|regular)`},
		{[]string{"attach", ":1", "-e", files["text"]}, exitUsage, `text\.dbg: .*(no|not an) ELF`},
		{[]string{"attach", ":1", "-e", files["empty"]}, exitUsage, `empty\.dbg: .*(no|not an) ELF|empty`},
		{[]string{"attach", ":1", "-e", files["head"]}, exitUsage, `head\.dbg: .*(cut|truncated)`},
		{[]string{"attach", ":1", "-e", files["half"]}, exitUsage, `half\.dbg: .*(cut|truncated)`},
		{[]string{"attach", ":1", "-e", files["ukguest-x86_64 boot"]}, exitUsage, `32-bit.*ukguest-x86_64\.dbg`},
		{[]string{"attach", ":1", "-e", files["stripped"]}, exitUsage, `stripped`},
		{[]string{"symbolize", "-e", files["stripped"], "0x101350"}, exitUsage, `stripped`},
		{[]string{"crash", "no-such-log", "-e", good}, exitUsage, `no such file`},
	} {
		t.Run(strings.ReplaceAll(strings.Join(c.args, " "), filepath.Dir(good), ""), func(t *testing.T) {
			status, out, errs := verb(t, "", c.args...)
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			if out != "" {
				t.Errorf("stdout is for answers, it has:\n%s", out)
			}
			oneLine(t, status, errs, c.pattern)
		})
	}
}

func TestUnreachable(t *testing.T) {
	good := imageFiles(t)["ukguest-x86_64"]
	for _, c := range []struct{ name, target, pattern string }{
		{"no such host", "tcp:no-such-host.invalid:1234", `no-such-host\.invalid`},
		{"refused", refusedPort(t), `refused`},
		{"no such socket", "unix:" + filepath.Join(t.TempDir(), "none"), `no such file`},
		{"no such device", "serial:" + filepath.Join(t.TempDir(), "tty"), `no such file`},
		{"no such command", "exec:" + filepath.Join(t.TempDir(), "stub"), `(no such file|not found|ended|gone|lost|closed)`},
		{"talks nonsense", listen(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); swallow(c) }), `no GDB stub|not a GDB stub|stub`},
		{"silent", listen(t, swallow), `(another debugger|no answer|stub)`},
		{"closes at once", listen(t, func(net.Conn) {}), `(closed|lost|gone|ended|EOF)`},
		{"dies in a packet", listen(t, func(c net.Conn) {
			c.Read(make([]byte, 512))
			io.WriteString(c, "+$PacketSize=1000;qXfer:fea")
		}), `(closed|lost|gone|ended|EOF)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := startWatch()
			status, out, errs := verb(t, "", "threads", c.target, "-e", good)
			if status != exitUnreachable {
				t.Errorf("status %d, want %d", status, exitUnreachable)
			}
			if out != "" {
				t.Errorf("stdout is for answers, it has:\n%s", out)
			}
			oneLine(t, status, errs, c.pattern)
			if began.over(10 * time.Second) {
				took, _ := began.took()
				t.Errorf("told after %v", took)
			}
			t.Log(strings.TrimSpace(errs))
		})
	}
}

// A wrong image is refused, and the guest is left as it was found.
func TestWrongImage(t *testing.T) {
	files := imageFiles(t)
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "tcp"})
	for _, c := range []struct{ name, image, pattern string }{
		{"another architecture", files["ukguest-arm64"], `for arm64, the guest is x86_64`},
		{"another build", files["ukguest-x86_64-nofp"], `ukguest-x86_64-nofp\.dbg is not what this guest runs: .*--force`},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out, errs := verb(t, "", "threads", g.GDBAddr(), "-e", c.image)
			if status != exitMismatch {
				t.Errorf("status %d, want %d", status, exitMismatch)
			}
			if out != "" {
				t.Errorf("stdout has:\n%s", out)
			}
			oneLine(t, status, errs, c.pattern)
			g.mustBeAsFound(t, true)
		})
	}
	t.Run("forced", func(t *testing.T) {
		_, _, errs := verb(t, "", "threads", g.GDBAddr(), "-e", files["ukguest-x86_64-nofp"], "--force")
		if !strings.Contains(errs, "warning: the image does not match the guest") {
			t.Errorf("no warning:\n%s", errs)
		}
		g.mustBeAsFound(t, true)
	})
	t.Run("no DWARF", func(t *testing.T) {
		// Names there are still, from the symbols; threads there are none.
		status, out, errs := verb(t, "", "threads", g.GDBAddr(), "-e", files["no DWARF"])
		if status != exitOK || !strings.Contains(out, "CPU 0") {
			t.Errorf("status %d\n%s", status, out)
		}
		if line, _, _ := strings.Cut(errs, "\n"); !strings.Contains(line, "no threads: ") || !strings.Contains(line, "debug information") {
			t.Errorf("nobody is told that the image has no debug information:\n%s%s", out, errs)
		}
		// What cannot be done without is refused.
		status, _, errs = verb(t, "", "heap", g.GDBAddr(), "-e", files["no DWARF"])
		if status != exitFailed || !strings.Contains(errs, "debug information") {
			t.Errorf("heap: status %d: %s", status, errs)
		}
		g.mustBeAsFound(t, true)
	})
	t.Run("busy", func(t *testing.T) {
		p := spawn(t, "attach", g.GDBAddr(), "-e", g.Debug)
		p.wait(t, "help for commands")
		began := startWatch()
		status, _, errs := verb(t, "", "threads", g.GDBAddr(), "-e", g.Debug)
		late := began.over(4 * time.Second) // two, and some more
		if status != exitUnreachable {
			t.Errorf("status %d, want %d", status, exitUnreachable)
		}
		oneLine(t, status, errs, `another debugger is attached`)
		if late {
			t.Error("told after more than 4 s")
		}
		p.send(t, "quit\n")
		p.exit(t)
		g.mustBeAsFound(t, true)
	})
	t.Run("dies meanwhile", func(t *testing.T) {
		p := spawn(t, "attach", g.GDBAddr(), "-e", g.Debug)
		p.wait(t, "help for commands")
		g.Kill()
		p.send(t, "threads\n")
		p.in.Close()
		if status := p.exit(t); status != exitUnreachable {
			t.Errorf("status %d, want %d; stdout:\n%s\nstderr:\n%s", status, exitUnreachable, p.output(), &p.errs)
		}
	})
}

// The wrapper the x86 guest boots from is what its name says.
func TestWrapperIs32Bit(t *testing.T) {
	f, err := elf.Open(imageFiles(t)["ukguest-x86_64 boot"])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Class != elf.ELFCLASS32 {
		t.Errorf("class %v", f.Class)
	}
}
