package agent

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ukdbg/ukdbg/agent/config"
)

// A token that is put before the pages takes over their port; one that cannot be
// leaves them as they were.
func TestReloadOnTheSamePort(t *testing.T) {
	dir := t.TempDir()
	// An address of this process alone: no other's connection takes the port meanwhile.
	pid := os.Getpid()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 64+pid>>16&0x3f, pid>>8&0xff, pid&0xff))
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	file, token := filepath.Join(dir, "agent.yaml"), filepath.Join(dir, "token")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	plain := fmt.Sprintf("guests: {include: [nobody]}\nlisten: {address: %q", at)
	write(file, plain+"}\n")
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	a := run(t, c, func(o *Options) { o.File = file })
	status := func() int {
		res, err := http.Get("http://" + at + "/status.json")
		if err != nil {
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	until := func(want int) {
		t.Helper()
		for end := time.Now().Add(patience); status() != want; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("status %d, want %d", status(), want)
			}
		}
	}
	until(http.StatusOK)
	write(token, "short")
	write(file, plain+fmt.Sprintf(", bearer_file: %q}\n", token))
	a.reload <- struct{}{}
	a.said("the bearer token has 5 bytes")
	until(http.StatusOK)
	write(token, "0123456789abcdef")
	a.reload <- struct{}{}
	until(http.StatusUnauthorized)
	write(file, plain+"}\n")
	a.reload <- struct{}{}
	until(http.StatusOK)
}

// The page tells when a receiver took something.
func TestLastSent(t *testing.T) {
	began := time.Now()
	c := quick(t, "nobody")
	newCollector(t).to(c)
	a := run(t, c, nil)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		for _, q := range a.page().Queues {
			if q.Name == "metrics" && q.Sent > 0 {
				if q.LastOK.Before(began) || q.LastOK.After(time.Now()) {
					t.Errorf("%d sent, the last at %v", q.Sent, q.LastOK)
				}
				return
			}
		}
		if time.Now().After(end) {
			t.Fatal("nothing is sent")
		}
	}
}
