package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/internal/guesttest"
)

// capability is a row of the table in docs/security.md.
type capability struct {
	name  string   // "cap_sys_ptrace"
	fails []string // features that fail without it
	told  string
}

func capabilityTable(t *testing.T) (rows []capability) {
	t.Helper()
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "<!-- capabilities -->")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, m := range regexp.MustCompile(`(?m)^\| (CAP_[A-Z_]+) \| (.*) \| (.*) \|$`).FindAllStringSubmatch(table, -1) {
		c := capability{name: strings.ToLower(m[1]), told: m[3]}
		for _, f := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(m[2], -1) {
			c.fails = append(c.fails, f[1])
		}
		rows = append(rows, c)
	}
	if !ok || len(rows) == 0 {
		t.Fatal("docs/security.md has no table of capabilities")
	}
	return rows
}

// capsh makes the command run as a user that may nothing, with these capabilities.
func capsh(t *testing.T, caps []string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := exec.LookPath("capsh")
	if err != nil {
		t.Fatalf("%v: 'make tools' installs it", err)
	}
	list := strings.Join(caps, ",")
	shell := append([]string{"--keep=1", fmt.Sprintf("--uid=%d", stranger), "--inh=" + list, "--addamb=" + list, "--", "-c", `exec "$0" "$@"`}, args...)
	cmd := exec.Command(program, shell...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "HOME=/nonexistent", "UKDBG_CACHE=off")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// With the documented capabilities every feature works, and without one of them
// those named beside it fail, and no other, each with a clear word: by verbs, and in
// the agent.
func TestCapabilities(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not run: only root can give capabilities")
	}
	rows := capabilityTable(t)
	program := publish(t, binary)
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	console := filepath.Join(secret(t), "console.log")
	g := boot(t, guesttest.Options{Image: "ukguest-x86_64", UID: owner, Args: []string{"-chardev", "file,id=log,path=" + console, "-serial", "chardev:log"}})
	g.WaitConsole(t, "requests served", patience)
	image := publish(t, g.Debug)
	features := map[string][]string{
		"memory":  {"threads", "pid:" + strconv.Itoa(g.Pid()), "-e", image},
		"console": {"crash", console},
	}
	if k := kvmGuest(t); k != nil {
		features["sampling"] = []string{"profile", "cpu", "pid:" + strconv.Itoa(k.Pid()), "-d", "300ms", "-F", "20", "-e", publish(t, k.Debug)}
	}
	check := func(t *testing.T, without *capability, caps []string) {
		for name, args := range features {
			out, err := capsh(t, caps, append([]string{program}, args...)...).CombinedOutput()
			switch fails := without != nil && slices.Contains(without.fails, name); {
			case fails && err == nil:
				t.Errorf("%s works:\n%s", name, out)
			case fails && !strings.Contains(string(out), without.told) && name == without.fails[0]:
				t.Errorf("%s does not tell %q:\n%s", name, without.told, out)
			case !fails && err != nil:
				t.Errorf("%s fails: %v\n%s", name, err, out)
			}
		}
	}
	t.Run("all", func(t *testing.T) { check(t, nil, names(rows, "")) })
	for _, row := range rows {
		t.Run("without "+row.name, func(t *testing.T) { check(t, &row, names(rows, row.name)) })
	}
	agentWith := func(caps []string) (memory, follows bool, page string) {
		return agentSees(t, capsh(t, caps, program, "agent", "--listen", "127.0.0.1:0", "--image-dir", filepath.Dir(image)), g.Pid())
	}
	if memory, follows, page := agentWith(names(rows, "")); !memory || !follows {
		t.Errorf("the agent: memory %v, console %v\n%s", memory, follows, page)
	}
	if memory, follows, page := agentWith(names(rows, "cap_sys_ptrace")); memory || !follows {
		t.Errorf("the agent without CAP_SYS_PTRACE: memory %v, console %v\n%s", memory, follows, page)
	}
	if memory, follows, page := agentWith(names(rows, "cap_dac_read_search")); !memory || follows {
		t.Errorf("the agent without CAP_DAC_READ_SEARCH: memory %v, console %v\n%s", memory, follows, page)
	}
}

func names(rows []capability, without string) (out []string) {
	for _, r := range rows {
		if r.name != without {
			out = append(out, r.name)
		}
	}
	return out
}

// secret makes a folder that everybody may enter, whose files are the owner's.
func secret(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "uksecret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "console.log")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, file} {
		if err := os.Chown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// kvmGuest boots a guest under KVM, nil where there is none.
func kvmGuest(t *testing.T) *guest {
	t.Helper()
	if _, err := os.Stat("/dev/kvm"); err != nil {
		t.Logf("no KVM here: sampling by performance events is not tried (%v)", err)
		return nil
	}
	return boot(t, guesttest.Options{Image: "ukguest-x86_64", Accel: "kvm", Append: "burn"})
}

// agentSees runs an agent and returns what its status page says of a guest.
func agentSees(t *testing.T, cmd *exec.Cmd, pid int) (memory, console bool, page string) {
	t.Helper()
	var errs lockedBuffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}()
	address := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		time.Sleep(200 * time.Millisecond)
		at := address.FindString(errs.String())
		if at == "" {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/status.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		var p struct {
			Guests []struct {
				PID                int
				Console, NoConsole string
				Ways               []struct {
					Kind string
					Open bool
				}
			}
		}
		if err := json.Unmarshal(b, &p); err != nil {
			t.Fatal(err)
		}
		for _, g := range p.Guests {
			if g.PID == pid && (g.Console != "" || g.NoConsole != "") {
				for _, w := range g.Ways {
					memory = memory || w.Kind == "memory" && w.Open
				}
				return memory, g.Console != "", string(b)
			}
		}
	}
	t.Fatalf("the agent does not tell of the guest:\n%s", errs.String())
	return false, false, ""
}
