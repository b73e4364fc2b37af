package vmm

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestMountNamespace opens a file that only a process of another mount namespace
// has, as a VMM in a container is one.
func TestMountNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes mount namespaces")
	}
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", `mount -t tmpfs none "$0" && echo inside >"$0/config" && ln -s /etc/../config "$0/link" && cd "$0" && echo ready && exec cat`, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	v := Host.view(cmd.Process.Pid)
	for _, name := range []string{dir + "/config", "config"} {
		if got, err := os.ReadFile(v.path(name)); err != nil || string(got) != "inside\n" {
			t.Errorf("%s is %s: %q, %v", name, v.path(name), got, err)
		}
	}
	if _, err := os.Stat(dir + "/config"); err == nil {
		t.Error("the file is here too: the test shows nothing")
	}
	// A link's target is looked up in the process's root, not in ours.
	root := Host.path(cmd.Process.Pid, "root")
	if got := v.path(dir + "/link"); got != root+"/config" {
		t.Errorf("link leads to %s", got)
	}
}
