package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// coreOf builds a program of testdata/process and returns it and the core gdb
// takes where it dies. The size of a file is limited: a sanitized program's
// address space has terabytes.
func coreOf(t *testing.T, source string, flags []string, arg string) (app, core string) {
	t.Helper()
	dir := t.TempDir()
	app = filepath.Join(dir, "app")
	args := append([]string{"-g", "-Wl,--build-id", "-o", app, filepath.Join("testdata", "process", source)}, flags...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	core = filepath.Join(dir, "core")
	cmd := exec.Command("sh", "-c", `ulimit -f 1000000; exec gdb-multiarch -q -batch -ex "run $0" -ex "generate-core-file $1" ./app`, arg, core)
	cmd.Dir = dir
	// The gap between the halves of the shadow is 2 TiB, which gdb would write.
	cmd.Env = append(cmd.Environ(), "ASAN_OPTIONS=detect_leaks=0:protect_shadow_gap=0")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Saved corefile") {
		t.Fatalf("gdb: %v\n%s", err, out)
	}
	return app, core
}

// TestProcessSignal: the signal that ended a process tells what its registers
// alone do not.
func TestProcessSignal(t *testing.T) {
	for how, want := range map[string][]string{
		"null":      {"page-fault (null-dereference)", "r is NULL, field len, offset 4 of struct request", "signal SIGSEGV", "address 0x4 ·"},
		"readonly":  {"page-fault (write-to-read-only)", "signal SIGSEGV", "fault_write"},
		"unmapped":  {"page-fault (not-present)", "signal SIGSEGV", "fault_wild"},
		"canonical": {"general-protection (non-canonical)", "signal SIGSEGV", "fault_wild"},
		"div":       {"divide-error (divide-by-zero)", "signal SIGFPE", "b is 0"},
		"trap":      {"invalid-opcode (compiler-trap)", "signal SIGILL", "main"},
	} {
		t.Run(how, func(t *testing.T) {
			app, core := coreOf(t, "signals.c", []string{"-O1"}, how)
			out := mustVerb(t, "crash", "core:"+core, "-e", app)
			for _, w := range want {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
		})
	}
}

// TestUserShadow: the shadow of a real process under AddressSanitizer, drawn from
// its core, and the object that the refused access missed.
func TestUserShadow(t *testing.T) {
	for how, want := range map[string][]string{
		"global": {"address-sanitizer (global-buffer-overflow): read of 4 bytes right behind the end of stock, a global of 40 bytes", "00[f9]f9", "Global redzone"},
		"stack":  {"address-sanitizer (stack-buffer-overflow): write of 1 byte right behind the end of basket (13 bytes", "a variable of fault_stack on the stack", "00[05]f3", "Stack right redzone"},
		"heap":   {"address-sanitizer (heap-buffer-overflow): write of 1 byte right behind the end of 61 usable bytes", "[05]fa", "Heap left redzone"},
		"freed":  {"address-sanitizer (use-after-free): read of 1 byte of freed memory, byte 5 of 64", "[fd]fd", "Freed heap region"},
	} {
		t.Run(how, func(t *testing.T) {
			app, core := coreOf(t, "sanitized.c", []string{"-O1", "-fno-omit-frame-pointer", "-fsanitize=address", "-static-libasan"}, how)
			out := mustVerb(t, "crash", "core:"+core, "-e", app)
			for _, w := range append(want, "Shadow bytes around", "AddressSanitizer: invalid") {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
		})
	}
}
