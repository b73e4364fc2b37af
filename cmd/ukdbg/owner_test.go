package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

func ownersAt(t *testing.T, g *guest, at string, expressions ...string) []ownerJSON {
	t.Helper()
	words := []string{"heap", at, "-e", g.Debug, "--json"}
	for _, x := range expressions {
		words = append(words, "--owner", x)
	}
	var a struct{ Owners []ownerJSON }
	if err := json.Unmarshal([]byte(mustVerb(t, words...)), &a); err != nil || len(a.Owners) != len(expressions) {
		t.Fatalf("%q: %v, %+v", expressions, err, a)
	}
	return a.Owners
}

// What an address belongs to, live behind a stub and observed, on both
// architectures.
func TestOwner(t *testing.T) {
	for arch, machine := range map[string]struct{ device, table, away string }{
		"x86_64": {"", "&boot_pml4", "0x9000000"}, "arm64": {"0x9000000", "&boot_l1", "0x90000000"},
	} {
		t.Run(arch, func(t *testing.T) {
			g := boot(t, guesttest.Options{Image: "ukguest-" + arch, GDB: "tcp", Append: "rate=50"})
			g.WaitConsole(t, "requests served", patience)
			for _, at := range []string{g.GDBAddr(), fmt.Sprintf("pid:%d", g.Pid())} {
				var threads struct{ Threads []threadJSON }
				if err := json.Unmarshal([]byte(mustVerb(t, "threads", at, "-e", g.Debug, "--json")), &threads); err != nil {
					t.Fatal(err)
				}
				var worker string
				for _, th := range threads.Threads {
					if th.Name == "worker-1" {
						worker = th.Address
					}
				}
				if worker == "" {
					t.Fatal("no worker-1")
				}
				field := func(name string) string { return fmt.Sprintf("((struct uk_thread *)%s)->%s", worker, name) }
				cases := []struct{ expression, kind, name, text string }{
					{worker, "thread", "worker-1", "struct uk_thread of worker-1"},
					{"&cache.lock", "symbol", "cache", "in section .bss"},
					{"&uk_trace_buffer[4]", "trace-buffer", "uk_trace_buffer", "offset 4 of 1048576"},
					{"uk_console_ring", "console-ring", "uk_console_ring", "offset 0 of 16400"},
					{"_uk_alloc_head", "heap", "buddy", "records of the buddy allocator"},
					{field("_mem.stack") + " + 8", "stack", "worker-1", "below its stack pointer"},
					{field("ctx.sp") + " + 256", "stack", "worker-1", "in the frame of"},
					{field("_mem.stack") + " - 8", "guard-page", "worker-1", "8 bytes below the stack of worker-1"},
					{"((struct uk_bbpalloc *)_uk_alloc_head->priv)->free_head[10]", "heap", "buddy", "free heap block"},
					{"8", "unmapped", "", "in the null page"},
					{machine.away, "unmapped", "", "not mapped"},
					{machine.table, "symbol", machine.table[1:], ""},
				}
				if machine.device != "" {
					cases = append(cases, struct{ expression, kind, name, text string }{machine.device, "mmio", "", "device registers of"})
				}
				var words []string
				for _, c := range cases {
					words = append(words, c.expression)
				}
				all := ownersAt(t, g, at, words...)
				fits := func(i int) bool {
					f, c := all[i].Facts, cases[i]
					return len(f) > 0 && f[0].Kind == c.kind && (c.name == "" || f[0].Name == c.name) && strings.Contains(f[0].Text, c.text)
				}
				for i, c := range cases {
					// A guest that runs may have left the place between two looks.
					for try := 0; !fits(i) && at != g.GDBAddr() && try < 10; try++ {
						all[i] = ownersAt(t, g, at, c.expression)[0]
					}
					o := all[i]
					if !fits(i) {
						t.Errorf("%s, %s: %+v, want %s %q %q", at, c.expression, o, c.kind, c.name, c.text)
					}
					if c.expression == machine.table && !strings.HasPrefix(o.Facts[len(o.Facts)-1].Text, "page table in use") {
						t.Errorf("%s: %+v", machine.table, o)
					}
				}
				o := all[0]
				// A thread's structure came from malloc: the object and its block.
				var size uint64
				for _, f := range o.Facts {
					if f.Kind == "heap" && f.Block != nil && f.Block.Use == "allocated" && f.Block.Object == worker {
						size = f.Block.Asked
					}
				}
				if size < 100 || size > 4096 {
					t.Errorf("struct uk_thread is no object of the heap: %+v", o)
				}
			}
		})
	}
}
