package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ukdbg/ukdbg"
)

// How long each turn of watchServing is, and how many there are with the agent and
// as many without.
const (
	turnLength = 10 * time.Second
	turns      = 6
)

// watchServing measures what the agent costs a guest that serves: how long its
// requests take by its own clock, in turns with an agent that runs and with one that
// is stopped by a signal. We read the guest's rings in both alike.
func watchServing(page *strings.Builder, program, dir string) (err error) {
	dir = filepath.Join(dir, "serving")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	g, err := boot(dir, "x86_64-ring", "-name", "bench-serving", "-qmp", "unix:"+filepath.Join(dir, "qmp")+",server=on,wait=off")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	a, err := startAgent(program, dir, "profile: {every: 10s, duration: 5s}\n")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.cmd.Process.Signal(syscall.SIGCONT), a.close()) }()
	if err := a.await(1, time.Minute); err != nil {
		return err
	}
	ctx := context.Background()
	s, err := ukdbg.Open(ctx, ukdbg.Options{Target: fmt.Sprintf("pid:%d", g.cmd.Process.Pid), Image: g.dbg})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	traces, err := s.FollowTrace(ctx)
	if err != nil {
		return err
	}
	// Of the turns without, the odd and the even ones show what noise is.
	var with, without []time.Duration
	var noise [2][]time.Duration
	for i := range 2 * turns {
		runs := i%2 == 1
		signal := map[bool]syscall.Signal{true: syscall.SIGCONT, false: syscall.SIGSTOP}[runs]
		if err := a.cmd.Process.Signal(signal); err != nil {
			return err
		}
		took, err := served(ctx, traces, turnLength)
		if err != nil {
			return err
		}
		if runs {
			with = append(with, took...)
		} else {
			without = append(without, took...)
			noise[i/2%2] = append(noise[i/2%2], took...)
		}
	}
	fmt.Fprintf(page, "| agent, p99.9 of a guest's requests with it and without, ms, of %d and %d | %.2f | %.2f | %.2f (noise %.2f) | at most 2 %% worse than noise |\n",
		len(with), len(without), ms(late(with)), ms(late(without)), float64(late(without))/float64(late(with)), float64(late(noise[0]))/float64(late(noise[1])))
	return nil
}

// served reads for a while how long requests took, by the guest's clock.
func served(ctx context.Context, traces *ukdbg.TraceFollower, d time.Duration) ([]time.Duration, error) {
	var took []time.Duration
	if _, err := traces.Poll(ctx); err != nil { // what came before
		return nil, err
	}
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		r, err := traces.Poll(ctx)
		if err != nil {
			return nil, err
		}
		if r.Lost > 0 {
			return nil, fmt.Errorf("%d trace records were lost", r.Lost)
		}
		for _, sp := range r.Spans {
			if sp.Name == "request_serve" {
				took = append(took, time.Duration(sp.End-sp.Start))
			}
		}
	}
	if len(took) == 0 {
		return nil, errors.New("the guest served nothing")
	}
	return took, nil
}

// late is what one in a thousand takes longer than.
func late(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*999/1000]
}
