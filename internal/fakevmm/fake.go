package fakevmm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Main makes of this process a fake, if it was started as one, and returns only if
// it was not.
func Main() {
	file := os.Getenv(roleVar)
	if file == "" {
		return
	}
	if err := fake(file); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// machine is what a fake runs.
type machine struct {
	script
	host uint64 // where RAM is mapped

	mu     sync.Mutex
	status string
	hung   chan struct{} // not nil: closed when it answers again
	busy   bool
}

func fake(file string) error {
	debug.SetGCPercent(-1) // it allocates next to nothing
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	m := &machine{status: "running"}
	if err := json.Unmarshal(text, &m.script); err != nil {
		return err
	}
	if err := m.mapRAM(); err != nil {
		return err
	}
	if m.Monitor != "" {
		l, err := net.Listen("unix", m.Monitor)
		if err != nil {
			return err
		}
		go m.listen(l)
	}
	fmt.Println("ok")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if err := m.do(in.Text()); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("ok")
	}
	return nil
}

func (m *machine) mapRAM() error {
	f, err := os.OpenFile(m.RAM, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	// The descriptor stays open, as QEMU's.
	how := unix.MAP_PRIVATE | populate
	if m.Shared {
		how = unix.MAP_SHARED
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, how)
	if err != nil {
		return err
	}
	m.host = uint64(uintptr(unsafe.Pointer(&mem[0])))
	return nil
}

// do carries out a command of who started it.
func (m *machine) do(line string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	what, rest, _ := strings.Cut(line, " ")
	switch what {
	case "status":
		m.status = rest
	case "hang":
		m.hung = make(chan struct{})
	case "answer":
		if m.hung != nil {
			close(m.hung)
			m.hung = nil
		}
	case "burn":
		d, err := time.ParseDuration(rest)
		if err != nil {
			return err
		}
		for end := time.Now().Add(d); time.Now().Before(end); {
		}
	case "busy":
		was := m.busy
		if m.busy = rest == "on"; m.busy && !was {
			go m.burn()
		}
	default:
		return fmt.Errorf("no command %q", line)
	}
	return nil
}

// burn uses a fifth of a CPU.
func (m *machine) burn() {
	for {
		m.mu.Lock()
		busy := m.busy
		m.mu.Unlock()
		if !busy {
			return
		}
		for end := time.Now().Add(4 * time.Millisecond); time.Now().Before(end); {
		}
		time.Sleep(16 * time.Millisecond)
	}
}

func (m *machine) listen(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		m.serve(c) // one client at a time, as QEMU
	}
}

// serve speaks QMP to one client: docs/interop/qmp-spec.rst of QEMU.
func (m *machine) serve(c net.Conn) {
	defer c.Close()
	m.wait()
	fmt.Fprint(c, `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}`+"\r\n")
	dec := json.NewDecoder(c)
	for {
		var q struct {
			Execute   string          `json:"execute"`
			ID        json.RawMessage `json:"id"`
			Arguments struct {
				Line string `json:"command-line"`
			} `json:"arguments"`
		}
		if dec.Decode(&q) != nil {
			return
		}
		m.wait()
		var answer any = struct{}{}
		switch q.Execute {
		case "qmp_capabilities":
		case "query-status":
			answer = map[string]any{"status": m.state(), "running": m.state() == "running", "singlestep": false}
		case "human-monitor-command":
			answer = m.human(q.Arguments.Line)
		default:
			fmt.Fprintf(c, `{"error": {"class": "CommandNotFound", "desc": "The command %s has not been found"}}`+"\r\n", q.Execute)
			continue
		}
		out := map[string]any{"return": answer}
		if q.ID != nil {
			out["id"] = q.ID
		}
		if json.NewEncoder(c).Encode(out) != nil {
			return
		}
	}
}

// wait waits while the fake hangs.
func (m *machine) wait() {
	m.mu.Lock()
	hung := m.hung
	m.mu.Unlock()
	if hung != nil {
		<-hung
	}
}

func (m *machine) state() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

func (m *machine) human(line string) string {
	if text, ok := m.Answers[line]; ok {
		return strings.ReplaceAll(text, "\n", "\r\n")
	}
	if line == "info status" {
		if s := m.state(); s != "running" {
			return "VM status: paused (" + s + ")\r\n"
		}
		return "VM status: running\r\n"
	}
	if at, ok := strings.CutPrefix(line, "gpa2hva "); ok {
		gpa, err := strconv.ParseUint(at, 0, 64)
		if err == nil && gpa >= m.Base && gpa-m.Base < 1<<40 && m.holds(gpa) {
			return fmt.Sprintf("Host virtual address for %#x (ram) is %#x\r\n", gpa, m.host+gpa-m.Base)
		}
		return fmt.Sprintf("No memory is mapped at address %s\r\n", at)
	}
	return "unknown command: '" + line + "'\r\n"
}

func (m *machine) holds(gpa uint64) bool {
	st, err := os.Stat(m.RAM)
	return err == nil && gpa-m.Base < uint64(st.Size())
}
