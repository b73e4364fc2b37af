package gdbstub

import (
	"context"
	"errors"
	"fmt"

	"github.com/ukdbg/ukdbg/gdbstub/packet"
	"github.com/ukdbg/ukdbg/target"
)

// threadID is the stub's name for a processor (GDB manual, E.1, "thread-id").
type threadID struct {
	pid, tid uint64
	multi    bool // pid is part of the name
}

// parseThread reads "tid" or "ppid.tid", all hex, and returns what follows.
// The wildcards 0 and -1 name no thread.
func parseThread(p []byte) (t threadID, rest []byte, ok bool) {
	if len(p) > 0 && p[0] == 'p' {
		t.multi = true
		if t.pid, p, ok = packet.ParseUint(p[1:]); !ok || len(p) == 0 || p[0] != '.' {
			return t, p, false
		}
		p = p[1:]
	}
	t.tid, rest, ok = packet.ParseUint(p)
	return t, rest, ok
}

func (t threadID) append(dst []byte) []byte {
	if t.multi {
		dst = append(dst, 'p')
		dst = append(packet.AppendUint(dst, t.pid), '.')
	}
	return packet.AppendUint(dst, t.tid)
}

func (t threadID) String() string { return string(t.append(nil)) }

// same reports whether two names mean one thread. A stub that has not yet heard
// of multiprocess leaves the process out.
func (t threadID) same(u threadID) bool {
	return t.tid == u.tid && (!t.multi || !u.multi || t.pid == u.pid)
}

// maxThreads bounds a stub's thread list.
const maxThreads = 4096

// parseThreadList reads one reply to qfThreadInfo or qsThreadInfo, "m" and
// names with commas between, or "l", and appends it to list. more asks for a
// further request.
func parseThreadList(list []threadID, p []byte) (out []threadID, more, ok bool) {
	if len(p) == 0 {
		return list, false, false
	}
	if p[0] == 'l' {
		return list, false, len(p) == 1
	}
	if p[0] != 'm' || len(p) == 1 {
		return list, false, false
	}
	for p = p[1:]; ; p = p[1:] {
		t, rest, ok := parseThread(p)
		if !ok || len(list) == maxThreads {
			return list, false, false
		}
		list = append(list, t)
		if len(rest) == 0 {
			return list, true, true
		}
		if rest[0] != ',' {
			return list, false, false
		}
		p = rest
	}
}

// CPUs lists the guest's processors. A stub without threads has one.
func (c *Client) CPUs(ctx context.Context) ([]target.CPU, error) {
	c.op.Lock()
	defer c.op.Unlock()
	c.mu.Lock()
	epoch, running := c.run.epoch, c.run.running
	c.mu.Unlock()
	// They come and go while the guest runs, if ever.
	if epoch != c.listed || running {
		if err := c.refreshThreads(ctx); err != nil {
			return nil, err
		}
		c.listed = epoch
	}
	cpus := make([]target.CPU, len(c.threads))
	for i := range cpus {
		cpus[i] = target.CPU(i)
	}
	return cpus, nil
}

// refreshThreads reads the thread list; first are the replies to qfThreadInfo
// and the qsThreadInfo after it as far as they are there already. The processor
// numbers of threads known stay.
func (c *Client) refreshThreads(ctx context.Context, first ...*call) error {
	if c.prof.noThreads {
		c.setThreads([]threadID{{tid: 1}})
		return nil
	}
	var list []threadID
	more, ok := true, true
	for i := 0; ok && more; i++ {
		question := "qsThreadInfo"
		if i == 0 {
			question = "qfThreadInfo"
		}
		var reply []byte
		var err error
		if i < len(first) {
			reply, err = first[i].raw, first[i].refused(question)
		} else {
			reply, err = c.request(ctx, question)
		}
		if i == 0 && errors.Is(err, target.ErrUnsupported) {
			c.prof.noThreads = true
			return c.refreshThreads(ctx)
		}
		if err != nil {
			return err
		}
		before := len(list)
		if list, more, ok = parseThreadList(list, reply); !ok || more && len(list) == before {
			return fmt.Errorf("%s: the stub's thread list %.60q makes no sense", c.spec, reply)
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("%s: the stub lists no thread", c.spec)
	}
	c.setThreads(list)
	return nil
}

func (c *Client) setThreads(list []threadID) {
	c.mu.Lock()
	c.run.threads = list
	c.mu.Unlock()
	c.threads = list
}

// thread returns the stub's name of cpu.
func (c *Client) thread(cpu target.CPU) (threadID, error) {
	if cpu < 0 || int(cpu) >= len(c.threads) {
		return threadID{}, fmt.Errorf("no CPU %d; the guest has %d, numbered from 0", cpu, len(c.threads))
	}
	return c.threads[cpu], nil
}

// selection returns the packet that makes g, p and m mean cpu, "" if they do.
func (c *Client) selection(cpu target.CPU) (string, error) {
	t, err := c.thread(cpu)
	if err != nil || len(c.threads) == 1 || c.selected == int(cpu) {
		return "", err
	}
	return "Hg" + t.String(), nil
}
