package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// crashing is a program with a thread that waits and a main that dies.
const crashing = `#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static volatile int hold = 1, sleeper;
__attribute__((noinline)) static void inner(int n) {
	sleeper = syscall(SYS_gettid);
	while (hold) usleep(100000 * n);
}
/* Whether the worker sleeps: proc(5), /proc/PID/task/TID/stat. */
static int sleeps(void) {
	char name[64], text[256] = "";
	snprintf(name, sizeof name, "/proc/self/task/%d/stat", sleeper);
	FILE *f = fopen(name, "r");
	if (!f) return 0;
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	return n && strstr(text, ") S ");
}
static void *worker(void *arg) { inner(5); return arg; }
__attribute__((noinline)) static void die(volatile int *p) { *p = 1; }
int main(void) {
	pthread_t t;
	pthread_create(&t, NULL, worker, NULL);
	do usleep(50000); while (!sleeper || !sleeps());
	die(NULL);
	return 0;
}
`

// TestProcessCore reads the core the kernel writes of a process, which has no
// code in it: the image supplies that, proved by its build id. Where the kernel
// gives cores to a program of the host's, gdb takes one.
func TestProcessCore(t *testing.T) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := strings.ContainsAny(strings.TrimSpace(string(pattern)), "|/")
	for _, tt := range []struct {
		name   string
		flags  []string
		worker []string
	}{
		{"dynamic, moved by the loader", []string{"-pie"}, []string{"inner (n=5)", "worker ("}},
		{"static", []string{"-static"}, []string{"usleep", "inner (n=5)", "worker (", "start_thread"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			src, app := filepath.Join(dir, "app.c"), filepath.Join(dir, "app")
			if err := os.WriteFile(src, []byte(crashing), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"-g", "-O1", "-Wl,--build-id", "-o", app, src, "-lpthread"}, tt.flags...)
			if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
				t.Fatalf("gcc: %v\n%s", err, out)
			}
			cmd := exec.Command("sh", "-c", "ulimit -c unlimited; exec ./app")
			if elsewhere {
				cmd = exec.Command("gdb-multiarch", "-q", "-batch", "-ex", "run", "-ex", "generate-core-file core", "./app")
			}
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err == nil != elsewhere {
				t.Fatalf("%s: %v\n%s", cmd, err, out)
			}
			cores, err := filepath.Glob(filepath.Join(dir, "core*"))
			if err != nil || len(cores) != 1 {
				t.Fatalf("cores %q, error %v", cores, err)
			}
			// The status tells that the stack ends in the C library, of which
			// there is no image.
			_, out, _ := verb(t, "", "attach", cores[0], "-e", app, "--batch", "--ex", "bt all", "--ex", "x/1i $pc")
			dying, waiting, ok := strings.Cut(out, "\n\n")
			if !ok || !strings.Contains(dying, "in die (p=0x0) at ") && !strings.Contains(dying, "#0  die (p=0x0) at ") || !strings.Contains(dying, "in main () at ") {
				t.Errorf("the thread that died:\n%s", out)
			}
			for _, frame := range tt.worker {
				if !strings.Contains(waiting, frame) {
					t.Errorf("no frame %q:\n%s", frame, waiting)
				}
			}
			if !strings.Contains(out, "<die>:") {
				t.Errorf("no code from the image:\n%s", out)
			}
			// Another program's build id is another.
			other := filepath.Join(dir, "other")
			src2 := filepath.Join(dir, "other.c")
			if err := os.WriteFile(src2, bytes.Replace([]byte(crashing), []byte("50000"), []byte("60000"), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			args[4], args[5] = other, src2 // behind -o
			if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
				t.Fatalf("gcc: %v\n%s", err, out)
			}
			if status, _, errs := verb(t, "", "threads", cores[0], "-e", other); status != exitMismatch {
				t.Errorf("another program: status %d, %s", status, errs)
			}
		})
	}
}
