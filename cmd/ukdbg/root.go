package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
)

// Exit statuses, a contract: docs/exit-status.md.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitMismatch    = 4
)

// usageError marks a wrong use of the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// silentError carries an exit status whose reason was told already.
type silentError struct{ status int }

func (e silentError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// run runs one command line and returns the exit status.
func run(ctx context.Context, e env, args []string) (status int) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			status = faulted(e, p)
		}
	}()
	e.held = &heldOutput{to: e.out}
	e.out = e.held
	root := newRoot(e, args)
	root.SetArgs(args)
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	err := root.ExecuteContext(ctx)
	status = exitStatus(err)
	var silent silentError
	if err != nil && !errors.As(err, &silent) {
		fmt.Fprintf(e.err, "ukdbg: %v\n", err)
		if status == exitUsage {
			fmt.Fprintln(e.err, "run 'ukdbg help' for what there is")
		}
	}
	return status
}

// faulted ends a verb whose image was cut while it was mapped: what was deferred,
// the leaving of a guest too, has run by now. Any other panic goes on.
func faulted(e env, p any) int {
	if _, ok := p.(interface{ Addr() uintptr }); !ok {
		panic(p)
	}
	fmt.Fprintln(e.err, "ukdbg: a file changed while it was read: an image was built anew? Run it again")
	return exitFailed
}

func exitStatus(err error) int {
	var usage usageError
	var silent silentError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &silent):
		return silent.status
	case errors.As(err, &usage), errors.Is(err, ukdbg.ErrUsage):
		return exitUsage
	case errors.Is(err, ukdbg.ErrMismatch):
		return exitMismatch
	case errors.Is(err, ukdbg.ErrUnreachable):
		return exitUnreachable
	}
	return exitFailed
}

// command is one verb of the command line.
type command struct {
	name string
	make func(env) *cobra.Command
}

// verbs are all there are, in no order.
func verbs() []command {
	return []command{
		{"ls", newLs}, {"images", newImages}, {"doctor", newDoctor}, {"attach", newAttach}, {"threads", newThreads}, {"heap", newHeap}, {"trace", newTrace},
		{"crash", newCrash}, {"dump", newDump}, {"report", newReport}, {"profile", newProfile}, {"top", newTop},
		{"web", newWeb}, {"agent", newAgent}, {"symbolize", newSymbolize}, {"recover", newRecover},
		{"demo", newDemo}, {"version", newVersion},
	}
}

// newRoot makes the command tree for args. When they begin with a verb it is the
// only one made, since each start waits for all that is.
func newRoot(e env, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "ukdbg",
		Short: "Debug and observe unikernels from outside",
		Long: `ukdbg reads a unikernel from outside, alive or dead, tells what it is doing and
why it died, and leaves it as it found it.

Targets: tcp:HOST:PORT or :PORT, unix:PATH, serial:DEV?baud=N, exec:COMMAND (GDB
stubs), qmp:PATH, pid:N (a running VM, observed without stopping it), kraft:NAME,
libvirt:DOMAIN, fc:ID (a guest of this host by its name), core:FILE or a file name
(memory dumps). -e names the image with debug information (NAME.dbg).`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("no verb %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	all := verbs()
	if i := slices.IndexFunc(all, func(v command) bool { return len(args) > 0 && v.name == args[0] }); i >= 0 {
		all = all[i : i+1]
		root.CompletionOptions.DisableDefaultCmd = true
	}
	for _, v := range all {
		root.AddCommand(v.make(e))
	}
	return root
}

// exactArgs wants n arguments, and names them in the error.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return usageError{fmt.Errorf("want %s, got %d arguments", strings.Join(names, " "), len(args))}
	}
}

// targetFlags are the flags of every verb that opens a target.
type targetFlags struct {
	image     string
	force     bool
	sourceMap []string
	json      bool
	debug     debugFlags
	apps      []string
	initrd    string
	verb      string
	stops     stopFlags
	dump      dumpFlags
	// unheld: the verb answers while it looks, as top does.
	unheld bool
}

func (f *targetFlags) add(cmd *cobra.Command) {
	f.verb = cmd.Name()
	cmd.Flags().StringVarP(&f.image, "elf", "e", "", "the image with debug information (NAME.dbg)")
	cmd.Flags().BoolVar(&f.force, "force", false, "go on although the image does not match the guest")
	cmd.Flags().StringArrayVar(&f.sourceMap, "source-map", nil, "FROM=TO: look for sources recorded under FROM in TO")
	f.debug.add(cmd.Flags())
	cmd.Flags().StringArrayVar(&f.apps, "app", nil, "`FILE` is a program or library the guest loaded itself (may be repeated)")
	cmd.Flags().StringVar(&f.initrd, "initrd", "", "the guest's cpio archive, for what it loaded itself (default: the one its VMM has)")
	f.stops.add(cmd)
	f.dump.add(cmd)
}

func (f *targetFlags) addJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
}

// options are what the flags say.
func (f *targetFlags) options(e env) (ukdbg.Options, error) {
	opt := ukdbg.Options{
		Image: f.image, Force: f.force, CacheDir: cacheDir(), Apps: f.apps, Roots: f.debug.dirs, Initrd: f.initrd,
	}
	for _, m := range f.sourceMap {
		from, to, ok := strings.Cut(m, "=")
		if !ok || from == "" {
			return opt, usageError{fmt.Errorf("--source-map %q: want FROM=TO", m)}
		}
		opt.SourceMap = append(opt.SourceMap, ukdbg.SourceMap{From: from, To: to})
	}
	var err error
	if opt.Dump, err = f.dump.options(); err != nil {
		return opt, err
	}
	opt.Debug, err = f.debug.finder(e)
	return opt, err
}

// open opens the session the flags describe. output gets what the guest prints
// over the link, nil drops it; lost is called if the guard dies.
func (f *targetFlags) open(ctx context.Context, e env, target string, output func([]byte), lost func()) (*ukdbg.Session, error) {
	opt, err := f.options(e)
	if err != nil {
		return nil, err
	}
	if err := f.stops.check(f.verb); err != nil {
		return nil, err
	}
	opt.Target, opt.Output, opt.Guard, opt.Brief = target, output, f.guardOptions(e, lost), f.stops.brief(f.verb)
	return ukdbg.Open(ctx, opt)
}

// openImage makes a session without a guest, for what needs only the image.
func (f *targetFlags) openImage(ctx context.Context, e env) (*ukdbg.Session, error) {
	opt, err := f.options(e)
	if err != nil {
		return nil, err
	}
	return ukdbg.OpenImage(ctx, opt)
}
