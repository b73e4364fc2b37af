package guard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub"
	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/qmp"
	"github.com/ukdbg/ukdbg/target"
)

// The client that a test kills: this binary again, run as a debugger.

// The test binary is also the guard, and the client that is killed.
func TestMain(m *testing.M) {
	if IsMain(os.Args) {
		os.Exit(Main(os.Args))
	}
	if len(os.Args) == 3 && os.Args[1] == "proxy" {
		pipes(os.Args[2])
		os.Exit(0)
	}
	if text := os.Getenv("UKDBG_TEST_CLIENT"); text != "" {
		if err := runClient(text); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// pipes is a command behind an exec: target, for the stub on a socket.
func pipes(path string) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin) // an end of either ends it
		conn.Close()
	}()
	_, _ = io.Copy(os.Stdout, conn)
}

// order is what a client that will be killed does before it waits for that.
type order struct {
	Target, TempMonitor, State, Monitor string
	Break                               []uint64 // inserted
	Run                                 bool     // the guest is let run then
	MaxPause, HungAfter                 time.Duration
	// Freeze: it suspends itself in the middle of a stop, and tells afterwards how a
	// read went.
	Freeze    bool
	Temporary bool
	Write     map[uint64][]byte
}

func runClient(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx := context.Background()
	opt := Options{Command: Self(), State: o.State, Verb: "test", Monitor: o.Monitor, MaxPause: o.MaxPause, HungAfter: o.HungAfter, ReadOnly: o.Freeze}
	link := gdbstub.Options{Temporary: o.Temporary}
	var a *Attachment
	var err error
	if o.TempMonitor != "" {
		a, err = TemporaryStub(ctx, qmp.Monitor{Path: o.TempMonitor}, opt, link)
	} else {
		var spec target.Spec
		if spec, err = target.ParseSpec(o.Target); err == nil {
			a, err = Attach(ctx, spec, opt, link)
		}
	}
	if err != nil {
		return err
	}
	for addr, p := range o.Write {
		if err := a.WriteMemory(ctx, p, addr); err != nil {
			return err
		}
	}
	for _, at := range o.Break {
		if err := a.Insert(ctx, target.Breakpoint{Addr: at}); err != nil {
			return err
		}
	}
	if o.Run {
		if err := a.Resume(ctx); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	if o.Freeze {
		return freeze(ctx, a)
	}
	time.Sleep(time.Minute)
	return nil
}

// freeze stops the guest and suspends this process.
func freeze(ctx context.Context, a *Attachment) error {
	if err := a.Interrupt(ctx); err != nil {
		return err
	}
	for e := range a.Events() {
		if e.Kind == target.EventStopped {
			break
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond) // a thread that sends itself a signal runs on for a moment
	_, err := a.ReadRegisters(ctx, 0)
	fmt.Println("lapsed", errors.Is(err, target.ErrLapsed), err)
	bye, err := a.Leave(ctx)
	fmt.Printf("left %v %d %v\n", bye.Running, bye.Lapsed, err)
	return err
}

// client is a running one.
type client struct {
	cmd   *exec.Cmd
	state string
	out   *bufio.Reader
}

func start(t *testing.T, o order) *client {
	t.Helper()
	if o.State == "" {
		o.State = guesttest.StateDir(t)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{cmd: exec.Command("/proc/self/exe"), state: o.State}
	c.cmd.Env = append(os.Environ(), "UKDBG_TEST_CLIENT="+string(text))
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.cmd.Process.Kill() // it has mostly ended
		c.cmd.Wait()
	})
	c.out = bufio.NewReader(out)
	if line, err := c.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the client said %q, %v", line, err)
	}
	return c
}

func (c *client) kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait() // killed
}

func killBoth(t *testing.T, c *client) {
	t.Helper()
	pid := 0
	for began := time.Now(); pid == 0 && time.Since(began) < soon; time.Sleep(time.Millisecond) {
		list, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range list {
			line, err := os.ReadFile(f)
			if err == nil && strings.HasPrefix(string(line), Name+"\x00"+guardDir(c.state)) {
				fmt.Sscanf(f, "/proc/%d/", &pid)
			}
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.kill()
}
