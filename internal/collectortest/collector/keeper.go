package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/xreceiver"
)

// The signals, by their place among files.
const (
	traces = iota
	logs
	metrics
	profiles
)

// files are the names of the signals' files.
var files = [...]string{traces: "traces.jsonl", logs: "logs.jsonl", metrics: "metrics.jsonl", profiles: "profiles.jsonl"}

// keeper appends what was received to files. An export is answered only after its
// line was written, so a client that was told "accepted" finds it.
type keeper struct {
	refuse atomic.Int64

	mu sync.Mutex
	f  [len(files)]*os.File
}

// keep writes what marshal makes.
func (k *keeper) keep(signal int, marshal func() ([]byte, error)) error {
	if k.refuse.Add(-1) >= 0 {
		return errors.New("asked to refuse this export")
	}
	line, err := marshal()
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_, err = k.f[signal].Write(append(line, '\n'))
	return err
}

// receivers are those of the four signals, which share their ports.
type receivers []component.Component

func (r receivers) start(ctx context.Context) error {
	for _, c := range r {
		if err := c.Start(ctx, host{}); err != nil {
			return err
		}
	}
	return nil
}

func (r receivers) stop(ctx context.Context) error {
	var errs []error
	for _, c := range r {
		errs = append(errs, c.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// receivers makes the receivers that hand on to the keeper.
func (k *keeper) receivers(ctx context.Context, factory receiver.Factory, set receiver.Settings, cfg component.Config) (receivers, error) {
	var all receivers
	var errs []error
	add := func(c component.Component, err error) {
		all, errs = append(all, c), append(errs, err)
	}
	nextTraces, err := consumer.NewTraces(func(_ context.Context, d ptrace.Traces) error {
		return k.keep(traces, func() ([]byte, error) { return (&ptrace.JSONMarshaler{}).MarshalTraces(d) })
	})
	errs = append(errs, err)
	add(factory.CreateTraces(ctx, set, cfg, nextTraces))
	nextLogs, err := consumer.NewLogs(func(_ context.Context, d plog.Logs) error {
		return k.keep(logs, func() ([]byte, error) { return (&plog.JSONMarshaler{}).MarshalLogs(d) })
	})
	errs = append(errs, err)
	add(factory.CreateLogs(ctx, set, cfg, nextLogs))
	nextMetrics, err := consumer.NewMetrics(func(_ context.Context, d pmetric.Metrics) error {
		return k.keep(metrics, func() ([]byte, error) { return (&pmetric.JSONMarshaler{}).MarshalMetrics(d) })
	})
	errs = append(errs, err)
	add(factory.CreateMetrics(ctx, set, cfg, nextMetrics))
	nextProfiles, err := xconsumer.NewProfiles(func(_ context.Context, d pprofile.Profiles) error {
		return k.keep(profiles, func() ([]byte, error) { return (&pprofile.JSONMarshaler{}).MarshalProfiles(d) })
	})
	errs = append(errs, err)
	more, ok := factory.(xreceiver.Factory)
	if !ok {
		return nil, errors.New("the receiver takes no profiles")
	}
	add(more.CreateProfiles(ctx, set, cfg, nextProfiles))
	return all, errors.Join(errs...)
}
