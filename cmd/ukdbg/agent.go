package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg/agent"
	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/guard"
)

// agentFlags are what may be said without a file. They win over it, and over it read
// again.
type agentFlags struct {
	file         string
	check, print bool
	imageDirs    []string
	redact       []string
	keepCrashed  time.Duration
	dumpDir      string
	listen       string
	otlp         []string
}

func newAgent(e env) *cobra.Command {
	var f agentFlags
	cmd := &cobra.Command{
		Use:   "agent [--config FILE]",
		Short: "Watch all guests of this host: profiles, traces, faults, to OpenTelemetry and others",
		Long: `agent finds the guests of this host as they come and go, profiles those that run,
reads their traces, follows their consoles for faults, and sends what it finds to
the receivers its configuration names. It stops no guest unless the configuration
allows it, and does nothing that a verb of ukdbg does not do once; its status page
names the command. docs/agent.md tells all.

The configuration is read again on SIGHUP and when its file changes; a bad one is
told, and the one in force stays. --print-config prints all keys with their meaning.`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.load()
			if err != nil {
				return usageError{err}
			}
			switch {
			case f.print:
				return config.Write(e.out, c)
			case f.check:
				_, err := fmt.Fprintln(e.out, "the configuration is good")
				return err
			}
			return runAgent(cmd.Context(), e, &f, c)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.file, "config", "", "the configuration's `FILE`")
	fl.BoolVar(&f.check, "check-config", false, "only say whether the configuration is good")
	fl.BoolVar(&f.print, "print-config", false, "print the configuration with what each key means")
	fl.StringArrayVar(&f.imageDirs, "image-dir", nil, "look for images in this `folder` too (may be repeated)")
	fl.StringArrayVar(&f.redact, "redact", nil, "hide the values of attributes that this `glob` fits (may be repeated)")
	fl.DurationVar(&f.keepCrashed, "keep-crashed", 0, "keep a guest that dies for so long and dump it")
	fl.StringVar(&f.dumpDir, "dump-dir", "", "the `folder` for these dumps")
	fl.StringVar(&f.listen, "listen", "", "serve the pages at this `address`, - for nowhere")
	fl.StringArrayVar(&f.otlp, "otlp", nil, "send all signals to this `URL` (may be repeated)")
	return cmd
}

// load reads the configuration and puts the flags over it.
func (f *agentFlags) load() (*config.Config, error) {
	c := config.Default()
	if f.file != "" {
		var err error
		if c, err = config.Load(f.file); err != nil {
			return nil, err
		}
	}
	return c, f.over(c)
}

// over puts the flags over a configuration.
func (f *agentFlags) over(c *config.Config) error {
	c.Images.Dirs = append(c.Images.Dirs, f.imageDirs...)
	c.Redact = append(c.Redact, f.redact...)
	if f.keepCrashed > 0 {
		c.Console.KeepCrashed = f.keepCrashed
	}
	if f.dumpDir != "" {
		c.Console.DumpDir = f.dumpDir
	}
	switch f.listen {
	case "":
	case "-":
		c.Listen.Address = ""
	default:
		c.Listen.Address = f.listen
	}
	for _, url := range f.otlp {
		c.Export.OTLP = append(c.Export.OTLP, config.OTLP{URL: url, Signals: []string{"traces", "metrics", "logs", "profiles"}})
	}
	return c.Check()
}

func runAgent(ctx context.Context, e env, f *agentFlags, c *config.Config) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP)
	defer signal.Stop(hups)
	reload := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-hups:
				select {
				case reload <- struct{}{}:
				default: // one is on its way
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	if f.file != "" {
		if abs, err := filepath.Abs(f.file); err == nil {
			f.file = abs
		}
	}
	err := agent.Run(ctx, agent.Options{
		Config: c, File: f.file, Load: f.load, Reload: reload, Log: e.err, CacheDir: cacheDir(), Version: version,
		Guard: guard.Options{Command: e.guard, State: guard.StateDir(e.getenv), Verb: "agent"},
	})
	if errors.Is(err, agent.ErrConfig) {
		return usageError{err}
	}
	return err
}
