package monitortest

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// Listen hands each client to talk, and closes the connection when that returns.
// It returns the socket's path, and ends with the test.
func Listen(t testing.TB, talk func(net.Conn)) (path string) {
	t.Helper()
	// A unix socket's path is short: not t.TempDir, which holds the test's name.
	dir, err := os.MkdirTemp("", "ukmon")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "mon")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			talk(c)
			c.Close()
		}
	}()
	return path
}
