package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
)

// naive is a client of a stub that asks one thing after the other, as gdb does. It
// stops the guest by connecting.
type naive struct {
	conn net.Conn
	in   *bufio.Reader
}

func dialNaive(gdb string) (*naive, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(gdb, "tcp:"))
	if err != nil {
		return nil, err
	}
	c := &naive{conn, bufio.NewReader(conn)}
	if _, err = c.reply(); err == nil { // the stop of our connecting
		_, err = c.ask("qSupported:multiprocess+")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *naive) reply() ([]byte, error) {
	if _, err := c.in.ReadBytes('$'); err != nil {
		return nil, err
	}
	p, err := c.in.ReadBytes('#')
	if err == nil {
		_, err = c.in.Discard(2)
	}
	return bytes.TrimSuffix(p, []byte{'#'}), err
}

func (c *naive) send(text string) error {
	_, err := c.conn.Write(packet.AppendString(nil, text))
	return err
}

func (c *naive) ask(text string) ([]byte, error) {
	if err := c.send(text); err != nil {
		return nil, err
	}
	return c.reply()
}

func (c *naive) resume() error { return c.send("vCont;c") }

// stop stops the guest and reads registers and stack of each processor; it returns
// when the guest had stopped.
func (c *naive) stop(cpus int) (stopped time.Time, err error) {
	if _, err := c.conn.Write([]byte{packet.Interrupt}); err != nil {
		return stopped, err
	}
	if _, err := c.reply(); err != nil {
		return stopped, err
	}
	stopped = time.Now()
	for cpu := range cpus {
		if _, err := c.ask(fmt.Sprintf("Hgp1.%x", cpu+1)); err != nil {
			return stopped, err
		}
		regs, err := c.ask("g")
		if err != nil {
			return stopped, err
		}
		if len(regs) < 8*16 {
			return stopped, fmt.Errorf("registers: %.80q", regs)
		}
		var sp [8]byte // rsp is the eighth register of the packet
		if _, err := hex.Decode(sp[:], regs[7*16:8*16]); err != nil {
			return stopped, err
		}
		if _, err := c.ask(fmt.Sprintf("m%x,%x", binary.LittleEndian.Uint64(sp[:]), stackSize)); err != nil {
			return stopped, err
		}
	}
	return stopped, nil
}

// leave lets the guest run on without us.
func (c *naive) leave() error {
	_, err := c.ask("D;1")
	return err
}
