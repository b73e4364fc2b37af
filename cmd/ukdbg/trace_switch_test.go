package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// TestTraceSwitches switches tracepoints of a running guest through its stub and
// through its VMM's monitor, and sees it in what the guest records.
func TestTraceSwitches(t *testing.T) {
	for _, way := range []string{"gdb", "qmp"} {
		t.Run(way, func(t *testing.T) {
			opt := guesttest.Options{Image: "ukguest-x86_64-ring", Append: "rate=300", QMP: way == "qmp"}
			if way == "gdb" {
				opt.GDB = "unix"
			}
			vm := boot(t, opt)
			target := vm.GDBAddr()
			if way == "qmp" {
				target = "qmp:" + vm.QMPPath
			}
			vm.WaitConsole(t, "requests served", patience)
			with := func(args ...string) []string { return append(args, "-e", vm.Debug) }
			points := func(args ...string) map[string]switchJSON {
				var a switchesJSON
				fields(t, mustVerb(t, with(append([]string{"trace"}, append(args, "--json")...)...)...), &a)
				if !a.On {
					t.Error("tracing is off")
				}
				m := map[string]switchJSON{}
				for _, p := range a.Points {
					m[p.Name] = p
				}
				return m
			}
			before := points("points", target)
			if p := before["vfs_open"]; len(before) != 27 || !p.Enabled || p.Frames != 0 || p.Format != `"%s" 0x%x 0%o` {
				t.Errorf("%d tracepoints, %+v", len(before), p)
			}
			off := points("disable", target, "*")
			for name, p := range off {
				if p.Enabled {
					t.Errorf("%s is on", name)
				}
			}
			on := points("enable", target, "malloc", "vfs_rea?", "--frames", "4")
			if len(on) != 2 || !on["malloc"].Enabled || on["vfs_read"].Frames != 4 || len(off) != len(before) {
				t.Errorf("%d were switched off, then on: %+v", len(off), on)
			}
			// The guest obeys: whatever is new is of these two. The switching
			// stopped the guest between two records of a thread at most.
			var last uint64
			if out := mustVerb(t, with("trace", "list", target, "--json", "--last", "1")...); out != "" {
				var r struct {
					TimeNS uint64 `json:"time_ns"`
				}
				if err := json.Unmarshal([]byte(out), &r); err != nil {
					t.Fatal(err)
				}
				last = r.TimeNS
			}
			vm.serves(t, 200)
			names, stacks := map[string]int{}, 0
			dec := json.NewDecoder(strings.NewReader(mustVerb(t, with("trace", "list", target, "--json")...)))
			for dec.More() {
				var r struct {
					TimeNS uint64 `json:"time_ns"`
					Name   string
					Seq    uint64
					Stack  []string
				}
				if err := dec.Decode(&r); err != nil {
					t.Fatal(err)
				}
				if r.TimeNS > last {
					names[r.Name]++
				}
				if r.Name == "vfs_read" && len(r.Stack) > 0 {
					stacks++
					if _, err := strconv.ParseUint(r.Stack[0], 0, 64); err != nil || len(r.Stack) > 4 || r.Seq == 0 {
						t.Errorf("record %d has the backtrace %q", r.Seq, r.Stack)
					}
				}
			}
			if len(names) != 2 || names["malloc"] < 20 || names["vfs_read"] < 5 {
				t.Errorf("recorded since: %v", names)
			}
			if stacks < 5 {
				t.Errorf("%d reads have a backtrace", stacks)
			}
			text := mustVerb(t, with("trace", "points", target)...)
			if !strings.Contains(text, "malloc") || !strings.Contains(text, fmt.Sprintf("%-4s", "on")) {
				t.Errorf("trace points prints\n%s", text)
			}
			for _, bad := range []struct {
				args []string
				want string
			}{
				{[]string{"enable", target, "nonesuch"}, `no tracepoint is named like "nonesuch"`},
				{[]string{"enable", target, "["}, "syntax error"},
				{[]string{"enable", target, "*", "--frames", "17"}, "at most 16"},
				{[]string{"disable", target}, "at least one NAME"},
			} {
				if status, _, errs := verb(t, "", with(append([]string{"trace"}, bad.args...)...)...); status != exitUsage || !strings.Contains(errs, bad.want) {
					t.Errorf("%q: status %d: %s", bad.args, status, errs)
				}
			}
			if !vm.Running(t) {
				t.Error("the guest does not run")
			}
		})
	}
	t.Run("without uktrace", func(t *testing.T) {
		vm := guesttest.Start(t, guesttest.Options{Image: "ukguest-x86_64", GDB: "unix"})
		status, _, errs := verb(t, "", "trace", "points", vm.GDBAddr(), "-e", vm.Debug)
		if status != exitFailed || !strings.Contains(errs, "without uktrace") {
			t.Errorf("status %d: %s", status, errs)
		}
	})
}
