package repl_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// next and step stay with the selected thread while others run through the
// same lines: each worker counts the requests it has served.
func TestStepsBelongToAThread(t *testing.T) {
	p := sit(t, guesttest.Options{Image: "ukguest-arm64", Append: "rate=1000"}, false)
	p.expect(t, "tbreak worker_main", `Temporary .*`)
	p.say(t, "delete")
	p.expect(t, "break queue_get thread worker-1", `Breakpoint 2 at .*\n`)
	p.expect(t, "continue", `Continuing\.\n.*\nBreakpoint 2, queue_get .*`)
	p.say(t, "delete")
	others := func() int {
		out := p.say(t, "print server.stats.by_worker[1] + server.stats.by_worker[2]")
		_, digits, _ := strings.Cut(strings.TrimSpace(out), "= ")
		n, err := strconv.Atoi(digits)
		if err != nil {
			t.Fatalf("by_worker: %s", out)
		}
		return n
	}
	before := others()
	mine := regexp.MustCompile(`\[Current thread is \d+ \(worker-1\)\]`)
	for i := 0; i < 40; i++ {
		out := p.say(t, "next")
		if strings.Contains(out, "Switching") || !mine.MatchString(p.say(t, "thread")) {
			t.Fatalf("next %d left the thread:\n%s", i, out)
		}
		if i >= 10 && others() > before+3 {
			break
		}
	}
	if n := others(); n <= before {
		t.Errorf("no other thread served meanwhile (%d, %d): this proves nothing", before, n)
	}
}

// What the guest holds must not drive the terminal; colours only where allowed.
func TestGuestBytesAreEscaped(t *testing.T) {
	p := sit(t, guesttest.Options{Image: "ukguest-x86_64"}, true)
	p.say(t, `set var gallery.text[0] = 27`)
	p.expect(t, "print gallery.text", `\$1 = "\\033lain text.*\n`)
	p.expect(t, "x/s gallery.text", `.*"\\033lain text"\n`)
	if out := p.say(t, "bt"); !strings.Contains(out, "\x1b[1m") {
		t.Errorf("no colours: %q", out)
	}
	p.say(t, `set var gallery.text[0] = 'p'`)
	p.expect(t, "print gallery.text", `.*"plain text.*\n`)
	for line, want := range map[string]string{
		"dis": "disable disassemble display", "info l": "locals line", "print $ri": "$rip",
		"break queue_g": "queue_get", "list disk.": "disk.c:", "print queue_g": "queue_get", "nonsense x": "",
	} {
		words, start := p.r.Complete(line)
		if got := strings.Join(words, " "); got != want || start > len(line) {
			t.Errorf("completing %q: %q at %d, want %q", line, got, start, want)
		}
	}
	p.expect(t, "detach", `guest resumed · stopped .* · as found but for what was set\n`)
}
