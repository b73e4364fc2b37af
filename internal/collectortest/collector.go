package collectortest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// startTime bounds how long the program may take to listen.
const startTime = 30 * time.Second

// Options say how the collector behaves.
type Options struct {
	// Refuse answers that many exports with a retryable error first.
	Refuse int
	// Dir keeps the received data; a temporary folder if "".
	Dir string
	// GRPC and HTTP are where to listen, as a collector that was killed did;
	// free ports if "".
	GRPC, HTTP string
	// Log gets what building and running print; nil discards it.
	Log io.Writer
}

// Collector is a running collector.
type Collector struct {
	// GRPC and HTTP are the host:port of the receivers.
	GRPC, HTTP string

	cmd   *exec.Cmd
	stdin io.Closer
	dir   string
	temp  string
}

// Start builds the collector if needed and starts it. Close it.
func Start(ctx context.Context, opt Options) (*Collector, error) {
	if opt.Log == nil {
		opt.Log = io.Discard
	}
	program, err := Build(ctx, opt.Log)
	if err != nil {
		return nil, err
	}
	c := &Collector{}
	if opt.Dir == "" {
		if c.temp, err = os.MkdirTemp("", "ukdbg-collector-"); err != nil {
			return nil, err
		}
		opt.Dir = c.temp
	}
	c.dir = opt.Dir
	c.cmd = exec.Command(program, "-out", c.dir, "-refuse", strconv.Itoa(opt.Refuse), "-grpc", opt.GRPC, "-http", opt.HTTP)
	c.cmd.Stderr = opt.Log
	if err := c.start(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Collector) start() error {
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("starting the collector: %w", err)
	}
	timer := time.AfterFunc(startTime, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the collector ended before it listened: %w", err)
	}
	return json.Unmarshal(line, &struct{ GRPC, HTTP *string }{&c.GRPC, &c.HTTP})
}

// Kill ends the collector as a crash does: at once, whatever it does. What it
// had accepted is still told by Spans and the others; Close it all the same.
func (c *Collector) Kill() error {
	if err := c.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = c.cmd.Wait() // "signal: killed"
	c.cmd = &exec.Cmd{}
	return nil
}

// Close stops the collector.
func (c *Collector) Close() error {
	var err error
	if c.cmd.Process != nil {
		_ = c.stdin.Close() // the program ends when its standard input does
		timer := time.AfterFunc(startTime, func() { _ = c.cmd.Process.Kill() })
		err = c.cmd.Wait()
		timer.Stop()
	}
	if c.temp != "" {
		err = errors.Join(err, os.RemoveAll(c.temp))
	}
	return err
}

// TB is what Run needs of a *testing.T or *testing.B; naming it here keeps
// package testing out of the demo.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
	Context() context.Context
	TempDir() string
	Output() io.Writer
}

// Run starts a collector for a test and stops it at the test's end.
func Run(t TB, opt Options) *Collector {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	if opt.Log == nil {
		opt.Log = t.Output()
	}
	c, err := Start(t.Context(), opt)
	if err != nil {
		t.Fatalf("no OpenTelemetry collector to test against: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Fatalf("stopping the collector: %v", err)
		}
	})
	return c
}
