package stubtest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"
)

// line is one end of the guest's second serial port: a TCP connection or a pty.
type line interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
}

// client speaks the remote protocol byte by byte, so that a test sees what the
// stub really sends: acknowledgements, repetitions and stray bytes.
type client struct {
	t    *testing.T
	line line
	acks bool
}

const patience = 20 * time.Second

// recv returns the next byte, or fails the test.
func (c *client) recv() byte {
	c.t.Helper()
	b, err := c.recvWithin(patience)
	if err != nil {
		c.t.Fatalf("the stub is silent: %v", err)
	}
	return b
}

func (c *client) recvWithin(d time.Duration) (byte, error) {
	var b [1]byte
	if err := c.line.SetReadDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(c.line, b[:])
	return b[0], err
}

// silent fails the test if anything comes within d.
func (c *client) silent(d time.Duration) {
	c.t.Helper()
	if b, err := c.recvWithin(d); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the stub sent %q (%v), want silence", b, err)
	}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.line, s); err != nil {
		c.t.Fatal(err)
	}
}

func frame(data string) string {
	var sum byte
	for i := range len(data) {
		sum += data[i]
	}
	return fmt.Sprintf("$%s#%02x", data, sum)
}

// packet returns the data of the next packet without acknowledging it.
func (c *client) packet() string {
	c.t.Helper()
	return c.packetFrom(c.recv())
}

// packetFrom is packet when its first byte has been read.
func (c *client) packetFrom(b byte) string {
	c.t.Helper()
	if b != '$' {
		c.t.Fatalf("the stub sent %q, want the start of a packet", b)
	}
	var data []byte
	for b := c.recv(); b != '#'; b = c.recv() {
		data = append(data, b)
	}
	sum := string([]byte{c.recv(), c.recv()})
	if want := frame(string(data)); want[len(want)-2:] != sum {
		c.t.Fatalf("packet %q has the checksum %s", data, sum)
	}
	return string(data)
}

// reply is packet with its acknowledgement, if they are in use.
func (c *client) reply() string {
	c.t.Helper()
	p := c.packet()
	if c.acks {
		c.send("+")
	}
	return p
}

// put sends a packet and waits for its acknowledgement.
func (c *client) put(data string) {
	c.t.Helper()
	c.send(frame(data))
	if c.acks {
		if b := c.recv(); b != '+' {
			c.t.Fatalf("the stub answered %q to %q, want +", b, data)
		}
	}
}

// ask sends a packet and returns the answer.
func (c *client) ask(data string) string {
	c.t.Helper()
	c.put(data)
	return c.reply()
}

func (c *client) want(data, answer string) {
	c.t.Helper()
	if got := c.ask(data); got != answer {
		c.t.Errorf("%q is answered by %q, want %q", data, got, answer)
	}
}

// read is an m packet that must answer all n bytes.
func (c *client) read(addr uint64, n int) []byte {
	c.t.Helper()
	b, err := hex.DecodeString(c.ask(fmt.Sprintf("m%x,%x", addr, n)))
	if err != nil || len(b) != n {
		c.t.Fatalf("m%x,%x answered %d bytes (%v)", addr, n, len(b), err)
	}
	return b
}

func (c *client) write(addr uint64, b []byte) {
	c.t.Helper()
	c.want(fmt.Sprintf("M%x,%x:%x", addr, len(b), b), "OK")
}
