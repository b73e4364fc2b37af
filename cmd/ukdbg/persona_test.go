package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// persona is who runs the command.
type persona struct {
	name string
	uid  int
	caps []uintptr // all it has, whatever its user; root has what it has
}

// Two users that need not exist.
const (
	owner    = 64321
	stranger = 64322
)

// Numbers of capabilities(7).
const (
	capDACReadSearch = 2
	capSysPtrace     = 19
)

// as runs the command as somebody. Whoever that is, the tests must be root's.
func as(t *testing.T, who persona, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "HOME=/nonexistent", "XDG_STATE_HOME="+t.TempDir())
	if who.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(who.uid), Gid: uint32(who.uid)}, AmbientCaps: who.caps}
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		status = exit.ExitCode()
	default:
		t.Fatalf("%s: ukdbg %s: %v", who.name, strings.Join(args, " "), err)
	}
	return status, out.String(), errs.String()
}
