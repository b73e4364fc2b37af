package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// verbEnv is verb with variables in the environment.
func verbEnv(t *testing.T, vars map[string]string, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(context.Background(), env{in: strings.NewReader(""), out: &o, err: &e, getenv: func(k string) string { return vars[k] }}, args)
	return status, o.String(), e.String()
}

// TestMissingSplit: what a .dwo file that is not there would have told is named.
func TestMissingSplit(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.c"), []byte("int work(int x)\n{\n\treturn x + 1;\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"gcc -g -gsplit-dwarf -c a.c", "gcc -nostdlib -static -no-pie -Wl,-Ttext=0x200000,-e,work -o prog a.o"} {
		c := exec.Command(strings.Fields(line)[0], strings.Fields(line)[1:]...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	prog := filepath.Join(dir, "prog")
	if status, out, errs := verbEnv(t, nil, "symbolize", "-e", prog, "200004"); status != exitOK || !strings.HasPrefix(out, "0x200004: work at ") || errs != "" {
		t.Errorf("with the file: %d %s%s", status, out, errs)
	}
	if err := os.Remove(filepath.Join(dir, "a.dwo")); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := verbEnv(t, nil, "symbolize", "-e", prog, "200004"); status != exitOK || !strings.HasPrefix(out, "0x200004: work at ") || !strings.Contains(errs, filepath.Join(dir, "a.dwo")+" (not there)") {
		t.Errorf("without: %d %s%s", status, out, errs)
	}
}

// TestDebugFiles names an address of a stripped image, its debug information
// found in each way there is.
func TestDebugFiles(t *testing.T) {
	dir := t.TempDir()
	tool := func(args ...string) {
		t.Helper()
		c := exec.Command(args[0], args[1:]...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	const id = "0123456789abcdef"
	if err := os.WriteFile(filepath.Join(dir, "a.c"), []byte("int work(int x)\n{\n\treturn x + 1;\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tool("gcc", "-g", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x200000,-e,work,--build-id=0x"+id, "-o", "prog", "a.c")
	tool("objcopy", "--only-keep-debug", "prog", "prog.debug")
	tool("strip", "prog")
	prog := filepath.Join(dir, "prog")
	debug, err := os.ReadFile(filepath.Join(dir, "prog.debug"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "0x200004: work at "

	_, _, errs := verbEnv(t, nil, "symbolize", "-e", prog, "--debug-dir", dir+"/none", "200004")
	if at := dir + "/none/.build-id/01/23456789abcdef.debug"; !strings.Contains(errs, at) || !strings.Contains(errs, "stripped") {
		t.Errorf("without a debug file: %s", errs)
	}
	byID := filepath.Join(dir, "debug", ".build-id", "01", "23456789abcdef.debug")
	if err := os.MkdirAll(filepath.Dir(byID), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(byID, debug, 0o644); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := verbEnv(t, nil, "symbolize", "-e", prog, "--debug-dir", dir+"/none", "--debug-dir", dir+"/debug", "200004"); status != exitOK || !strings.HasPrefix(out, want) || errs != "" {
		t.Errorf("by build id: %d %s%s", status, out, errs)
	}

	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/buildid/"+id+"/debuginfo" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(debug)
	}))
	defer server.Close()
	vars := map[string]string{"DEBUGINFOD_URLS": server.URL, "XDG_CACHE_HOME": filepath.Join(dir, "cache")}
	args := []string{"symbolize", "-e", prog, "--debug-dir", dir + "/none", "200004"}
	if status, out, errs := verbEnv(t, vars, args...); status == exitOK || asked != 0 {
		t.Errorf("servers were asked without the flag: %d %s%s", status, out, errs)
	}
	args = append(args, "--debuginfod")
	for range 2 {
		if status, out, errs := verbEnv(t, vars, args...); status != exitOK || !strings.HasPrefix(out, want) || asked != 1 {
			t.Errorf("by debuginfod: %d %s%s, %d requests", status, out, errs, asked)
		}
	}
	// What the cache holds is not trusted: another file there is asked for anew.
	cached := filepath.Join(dir, "cache", "ukdbg", "debuginfod", id, "debuginfo")
	if err := os.WriteFile(cached, debug[:len(debug)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := verbEnv(t, vars, args...); status != exitOK || !strings.HasPrefix(out, want) || asked != 2 {
		t.Errorf("a damaged cache: %d %s%s, %d requests", status, out, errs, asked)
	}
	if status, _, errs := verbEnv(t, nil, args...); status != exitUsage || !strings.Contains(errs, "DEBUGINFOD_URLS names no server") {
		t.Errorf("no servers: %d %s", status, errs)
	}
}
