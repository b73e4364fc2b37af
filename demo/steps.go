package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/exporters/pprof"
	"github.com/ukdbg/ukdbg/repl"
)

// alive shows what a guest that serves is doing.
func (w *walk) alive(ctx context.Context, s *ukdbg.Session, r *repl.REPL) error {
	w.title("Who is there, and what does each wait for")
	if err := w.commands(ctx, r, "threads", "thread worker-1", "bt"); err != nil {
		return err
	}
	w.title("Typed values, straight from the guest's memory")
	if err := w.commands(ctx, r, "print server.stats", "ptype struct request", "heap"); err != nil {
		return err
	}
	w.title("Its trace buffer")
	if err := w.commands(ctx, r, "trace 12", "trace summary"); err != nil {
		return err
	}
	if s.Live() {
		w.title("A breakpoint in one thread, a step, and the guest is unpatched again")
		if err := w.commands(ctx, r, "tbreak serve", "continue", "bt", "info locals", "next"); err != nil {
			return err
		}
	}
	if err := w.profile(ctx, s); err != nil {
		return err
	}
	return w.spans(ctx, s)
}

// died shows why a guest crashed.
func (w *walk) died(ctx context.Context, _ *ukdbg.Session, r *repl.REPL) error {
	w.title("Why did it die")
	return w.commands(ctx, r, "fault", "bt")
}

// crashLog shows that the console log alone tells most of it.
func (w *walk) crashLog(ctx context.Context, console string) error {
	w.title("The same from nothing but the console log")
	fmt.Fprintf(w.out, "$ ukdbg crash console.log -e %s.dbg\n", imageName)
	opt := ukdbg.Options{Image: w.dbg}
	if root := w.sources(); root != "" {
		opt.SourceMap = []ukdbg.SourceMap{{From: "/src/guest", To: root}}
	}
	s, err := ukdbg.OpenImage(ctx, opt)
	if err != nil {
		return err
	}
	f, err := os.Open(console)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.ReadLog(context.Background(), f, func(rep ukdbg.FaultReport) error {
		_, err := io.WriteString(w.out, rep.Text)
		return err
	})
}

// profile samples the guest, or takes the dump's stacks, and writes what go tool
// pprof opens.
func (w *walk) profile(ctx context.Context, s *ukdbg.Session) error {
	w.title("Where its time goes")
	path := filepath.Join(w.dir, "profile.pb.gz")
	fmt.Fprintf(w.out, "$ ukdbg profile … --duration 2s -o profile.pb.gz && go tool pprof -top profile.pb.gz\n")
	if err := w.out.Flush(); err != nil {
		return err
	}
	p, err := s.Profile(ctx, ukdbg.ProfileOptions{Duration: 2 * time.Second, Hz: 200})
	if err != nil {
		return err
	}
	ukdbg.WriteProfile(w.out, p, 10)
	return writeFile(path, func(f io.Writer) error { return pprof.Write(f, p) })
}

// spans sends the trace to a receiver, or writes it.
func (w *walk) spans(ctx context.Context, s *ukdbg.Session) error {
	t, err := s.Trace(ctx)
	if err != nil {
		return err
	}
	w.title("Its requests as OpenTelemetry spans, and as a Perfetto trace")
	if err := writeFile(filepath.Join(w.dir, "trace.perfetto"), func(f io.Writer) error { return s.WriteSpans(f, t, "perfetto") }); err != nil {
		return err
	}
	if w.opt.Collector == "" {
		path := filepath.Join(w.dir, "spans.otlp")
		if err := writeFile(path, func(f io.Writer) error { return s.WriteSpans(f, t, "otlp") }); err != nil {
			return err
		}
		st, err := os.Stat(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(w.out, "spans.otlp (%d bytes) and trace.perfetto written; --collector grpc://HOST:4317 sends them\n", st.Size())
		return nil
	}
	fmt.Fprintf(w.out, "$ ukdbg trace export … --to %s\n", w.opt.Collector)
	st, err := s.PushSpans(ctx, t, ukdbg.PushOptions{URL: w.opt.Collector, Service: "ukdbg-demo"})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w.out, ukdbg.PushedText(st, "span"))
	return err
}

func writeFile(path string, f func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f(file), file.Close())
}
