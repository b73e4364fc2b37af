package guard

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/ukdbg/ukdbg/internal/guesttest"
	"github.com/ukdbg/ukdbg/internal/monitortest"
	"github.com/ukdbg/ukdbg/qmp"
)

// A VMM that refuses the setting (QEMU before 6.0) has nothing to be put back: no
// guard stays to try.
func TestHoldRefused(t *testing.T) {
	path := monitortest.Listen(t, func(c net.Conn) {
		io.WriteString(c, `{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 5}, "package": ""}, "capabilities": []}}`+"\r\n")
		for in := bufio.NewScanner(c); in.Scan(); {
			if strings.Contains(in.Text(), "set-action") {
				io.WriteString(c, `{"error": {"class": "CommandNotFound", "desc": "The command set-action has not been found"}}`+"\r\n")
				continue
			}
			io.WriteString(c, `{"return": {}}`+"\r\n")
		}
	})
	state := guesttest.StateDir(t)
	h, err := HoldShutdown(t.Context(), qmp.Monitor{Path: path, Proto: qmp.QMP}, Options{Command: Self(), State: state})
	var refused *qmp.CommandError
	if !errors.As(err, &refused) || h != nil || strings.Contains(err.Error(), "putting back") {
		t.Fatalf("%v, %v", h, err)
	}
	if left, err := os.ReadDir(guardDir(state)); err != nil || len(left) != 0 {
		t.Errorf("%v, %v: a guard is left", left, err)
	}
}
