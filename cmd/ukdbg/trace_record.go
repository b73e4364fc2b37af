package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
)

func newTraceRecord(e env) *cobra.Command {
	var flags targetFlags
	var output string
	var length, every time.Duration
	cmd := &cobra.Command{
		Use:   "record TARGET -e NAME.dbg -o FILE",
		Short: "Drain the trace buffer again and again into a file",
		Long: `record reads the guest's trace buffer and empties it, again and again, so that
tracing never stops, until --for is over or ^C. The guest stands still only while its
buffer is emptied. The FILE is readable at any time, also if this is killed: see
docs/trace-recording.md; "-" is stdout.`,
		Args: exactArgs("a TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output == "" {
				return usageError{errors.New("give -o FILE")}
			}
			return traceRecord(cmd.Context(), e, &flags, args[0], output, length, every)
		},
	}
	flags.add(cmd)
	flags.addJSON(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write, - for stdout")
	cmd.Flags().DurationVar(&length, "for", 0, "stop after this time, 0 for ^C")
	cmd.Flags().DurationVar(&every, "every", 100*time.Millisecond, "the longest time between two readings")
	return cmd
}

// recordedJSON is docs/json.md's.
type recordedJSON struct {
	Records       uint64 `json:"records"`
	Bad           uint64 `json:"bad"`
	Drains        uint64 `json:"drains"`
	LostPeriods   uint64 `json:"lost_periods"`
	LostNS        uint64 `json:"lost_ns"`
	Stops         int    `json:"stops"`
	StoppedNS     int64  `json:"stopped_ns"`
	LongestStopNS int64  `json:"longest_stop_ns"`
	Kept          uint64 `json:"kept,omitempty"`
	Bytes         int64  `json:"bytes"`
	Ended         string `json:"ended,omitempty"`
}

func traceRecord(ctx context.Context, e env, flags *targetFlags, name, output string, length, every time.Duration) error {
	if length < 0 || every <= 0 {
		return usageError{errors.New("--for and --every want a time above 0")}
	}
	// ^C ends the recording, which is what it is for.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	out := e.out
	var file *os.File
	if output != "-" {
		// Not removed on failure: what was recorded is worth having.
		var err error
		if file, err = os.OpenFile(output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666); err != nil {
			return err
		}
		out = file
	}
	st, err := recordTo(ctx, e, flags, name, out, length, every)
	if file != nil {
		err = errors.Join(err, file.Close())
		if st.Bytes == 0 && err != nil {
			err = errors.Join(err, os.Remove(output))
		}
	}
	if err != nil {
		return err
	}
	if flags.json && output != "-" {
		return printJSON(e, recordedJSON{
			Records: st.Records, Bad: st.Bad, Drains: st.Drains, LostPeriods: st.LostPeriods, LostNS: st.End.Lost, Stops: st.Stops,
			StoppedNS: st.Stopped, LongestStopNS: st.Longest, Kept: st.Kept, Bytes: st.Bytes, Ended: st.Gone,
		})
	}
	_, err = fmt.Fprintln(e.err, recordedText(&st))
	return err
}

func recordTo(ctx context.Context, e env, flags *targetFlags, name string, out io.Writer, length, every time.Duration) (st ukdbg.RecordStats, err error) {
	ctx, lost, done := guarded(ctx)
	defer done()
	s, err := flags.open(ctx, e, name, nil, lost)
	if err != nil {
		return st, lostFirst(ctx, err)
	}
	defer func() {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leavePatience)
		defer cancel()
		bye, lerr := s.Leave(leaving)
		err = errors.Join(err, lerr)
		if lerr == nil && s.Live() && !flags.json {
			fmt.Fprintln(e.err, ukdbg.FarewellText(bye))
		}
	}()
	if w := s.Warning(); w != "" {
		fmt.Fprintf(e.err, "ukdbg: warning: %s\n", w)
	}
	st, err = s.RecordTrace(ctx, ukdbg.RecordOptions{Out: out, For: length, Every: every, Program: "ukdbg " + version})
	return st, lostFirst(ctx, err)
}

func recordedText(st *ukdbg.RecordStats) string {
	text := fmt.Sprintf("%d records in %d drains, %d bytes", st.Records, st.Drains, st.Bytes)
	if st.LostPeriods == 0 {
		text += " · 0 lost"
	} else {
		text += fmt.Sprintf(" · %d lost periods, %s without records", st.LostPeriods, ukdbg.Nanoseconds(st.End.Lost))
	}
	if st.Bad > 0 {
		text += fmt.Sprintf(" · %d bad stretches", st.Bad)
	}
	text += fmt.Sprintf(" · guest stopped %s in %d stops, the longest %s", ukdbg.Nanoseconds(uint64(max(st.Stopped, 0))), st.Stops,
		ukdbg.Nanoseconds(uint64(max(st.Longest, 0))))
	if st.Kept > 0 {
		text += fmt.Sprintf("\n%d times the buffer was not emptied: the guest was inside a tracepoint whenever it was looked at", st.Kept)
	}
	if st.Unseen != "" {
		text += "\nits memory was read while it stood still: " + st.Unseen
	}
	if st.Gone != "" {
		text += "\n" + st.Gone
	}
	return text
}
