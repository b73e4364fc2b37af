package repl_test

import (
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// Watchpoints stop once for each access, after it, on every architecture: arm64's stop
// before the access, and again when the guest is let run from there.
func TestWatchpoints(t *testing.T) {
	const (
		hit     = `Continuing\.\n(\[Switching to thread \d+ \(\S+\)\]\n)?\n`
		changed = `Hardware watchpoint 1: server\.stats\.served\n\nOld value = (\d+)\nNew value = (\d+)\n.*serve .*`
	)
	for _, image := range []string{"ukguest-x86_64", "ukguest-arm64"} {
		for name, smp := range map[string]int{image: 1, image + ", 2 CPUs": 2} {
			t.Run(name, func(t *testing.T) {
				p := sit(t, guesttest.Options{Image: image, Append: "rate=200", SMP: smp}, false)
				p.expect(t, "watch server.stats.served", `Hardware watchpoint 1: .*\n`)
				for range 3 {
					p.expect(t, "c", hit+changed)
				}
				p.expect(t, "delete", ``)
				p.expect(t, "rwatch server.stats.served", `Hardware read watchpoint 2: .*\n`)
				for range 2 {
					p.expect(t, "c", hit+`Hardware (access \(read/write\)|read) watchpoint 2: server\.stats\.served\n\nValue = \d+\n.*`)
				}
				p.expect(t, "delete", ``)
				p.expect(t, "watch server.stats.served if server.stats.served % 16 == 0", `Hardware watchpoint 3: .*\n`)
				p.expect(t, "c", hit+`Hardware watchpoint 3: server\.stats\.served\n\nOld value = \d+\nNew value = \d+\n.*`)
				p.expect(t, "p server.stats.served % 16", `\$\d+ = 0\n`)
				// What is run or stepped over is noticed as well.
				p.expect(t, "delete", ``)
				p.expect(t, "tbreak serve", `.*`)
				p.expect(t, "c", `.*Temporary breakpoint.*`)
				p.expect(t, "watch server.stats.served", `Hardware watchpoint 5: .*\n`)
				p.expect(t, "finish", `.*Hardware watchpoint 5: server\.stats\.served\n.*`)
				p.expect(t, "delete", ``)
				p.expect(t, "tbreak server.c:108", `.*`)
				p.expect(t, "c", `.*Temporary breakpoint.*`)
				p.expect(t, "watch server.stats.served", `Hardware watchpoint 7: .*\n`)
				p.expect(t, "step", `.*Hardware watchpoint 7: server\.stats\.served\n\nOld value = \d+\nNew value = \d+\n.*`)
			})
		}
	}
}
