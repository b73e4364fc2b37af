package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
)

// pprofProgram serves the pages: see cmd/ukdbg-pprof.
const pprofProgram = "ukdbg-pprof"

func newWeb(e env) *cobra.Command {
	var flags targetFlags
	opt := ukdbg.ProfileOptions{}
	var listen, base string
	cmd := &cobra.Command{
		Use:   "web FILE.pb.gz | web TARGET -e NAME.dbg",
		Short: "Look at a profile in a browser: pprof's own pages",
		Long: `web serves the web interface of google/pprof (graph, flame graph, source, top) for a
profile, or for a guest that it samples first. It listens on loopback only.`,
		Args: exactArgs("a profile or a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			addr, err := loopback(listen)
			if err != nil {
				return usageError{err}
			}
			file := args[0]
			if st, err := os.Stat(file); err != nil || !st.Mode().IsRegular() {
				if file, err = sampleInto(cmd.Context(), e, &flags, args[0], opt); err != nil {
					return err
				}
				defer os.Remove(file)
			} else if _, err := readProfile(file); err != nil {
				return err
			}
			return serveProfile(cmd.Context(), e, addr, file, base)
		},
	}
	flags.stops.budget = "5%"
	flags.add(cmd)
	cmd.Flags().DurationVarP(&opt.Duration, "duration", "d", 5*time.Second, "how long a TARGET is sampled")
	cmd.Flags().Float64VarP(&opt.Hz, "hz", "F", 99, "samples a second")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "the `address` to serve on, port 0 for any that is free")
	cmd.Flags().StringVar(&base, "diff-base", "", "show the difference to this profile")
	return cmd
}

// loopback returns an address with a port, on loopback.
func loopback(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("--listen %q: want HOST:PORT", listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("--listen %q: pprof's pages ask nobody for a name: on loopback only, and from elsewhere through ssh -L", listen)
	}
	if port != "0" {
		return listen, nil
	}
	// pprof wants to be told a port.
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	addr := l.Addr().String()
	return addr, l.Close()
}

// sampleInto samples a target into a file of its own.
func sampleInto(ctx context.Context, e env, flags *targetFlags, name string, opt ukdbg.ProfileOptions) (string, error) {
	flags.verb = verbProfile
	f, err := os.CreateTemp("", "ukdbg-*.pb.gz")
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	out := profileOutput{path: f.Name(), format: "pprof"}
	err = once(context.WithoutCancel(ctx), e, flags, name, func(ctx context.Context, s *ukdbg.Session) error {
		return profile(ctx, e, flags, s, opt, &out)
	})
	if err == nil {
		quiet := e
		quiet.out = io.Discard
		err = out.finish(ctx, quiet, false)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// findPprof returns the program beside this one, or the one of that name in the
// search path.
func findPprof() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), pprofProgram)
		if st, err := os.Stat(beside); err == nil && st.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(pprofProgram)
	if err != nil {
		return "", fmt.Errorf("web needs the program %s, beside ukdbg or in the search path: go install github.com/ukdbg/ukdbg/cmd/%s, or make build", pprofProgram, pprofProgram)
	}
	return path, nil
}

// serveProfile serves until ^C.
func serveProfile(ctx context.Context, e env, addr, file, base string) error {
	program, err := findPprof()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	args := []string{"-http=" + addr, "-no_browser", "-symbolize=none"}
	if base != "" {
		args = append(args, "-diff_base="+base)
	}
	cmd := exec.CommandContext(ctx, program, append(args, file)...)
	cmd.Stdout, cmd.Stderr = e.err, e.err
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "http://%s/ui/ · ^C ends it\n", addr)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return nil // ^C is how it ends
	}
	return err
}
