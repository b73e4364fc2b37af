package guesttest

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestPortsAndMonitor(t *testing.T) {
	vm := Start(t, Options{Image: "ukguest-x86_64", GDB: "tcp", Serial2: "tcp", QMP: true, Paused: true})
	if vm.Running(t) {
		t.Error("a paused VM runs")
	}
	c, err := net.Dial("unix", vm.QMPPath)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	vm.QMP(t, "cont", nil)
	vm.WaitConsole(t, "requests served", 30*time.Second)
	vm.QMP(t, "stop", nil)
	var names []string
	for _, e := range vm.Events() {
		names = append(names, e.Name)
	}
	if got := strings.Join(names, " "); !strings.Contains(got, "RESUME") || !strings.HasSuffix(got, "STOP") {
		t.Errorf("events %q, want RESUME … STOP", got)
	}
	// Only now: QEMU stops the VM when it notices a debugger, which may be late.
	for _, addr := range []string{vm.GDBAddr(), vm.Serial2Addr()} {
		hostport, ok := strings.CutPrefix(addr, "tcp:")
		if !ok {
			t.Fatalf("address %q is not tcp:", addr)
		}
		c, err := net.Dial("tcp", hostport)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

func TestPty(t *testing.T) {
	vm := Start(t, Options{Image: "ukguest-x86_64", GDB: "unix", Serial2: "pty", Paused: true})
	if !strings.HasPrefix(vm.Serial2Addr(), "serial:/dev/") {
		t.Errorf("second serial port at %q", vm.Serial2Addr())
	}
	c, err := net.Dial("unix", strings.TrimPrefix(vm.GDBAddr(), "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
