package otlp_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/spool"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/internal/collectortest"
)

func openSpool(t *testing.T, dir string, limit int64) *spool.Spool {
	t.Helper()
	s, err := spool.Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeSpool(t *testing.T, s *spool.Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// sends says that batches are kept in a spool.
func sends(s *spool.Spool, patience time.Duration) delivery.PushOptions {
	return delivery.PushOptions{Options: delivery.Options{Spool: s}, Patience: patience}
}

// then calls f before the span with that ID is taken.
func then(spans iter.Seq2[exporters.Span, error], id uint64, f func()) iter.Seq2[exporters.Span, error] {
	return func(yield func(exporters.Span, error) bool) {
		for s, err := range spans {
			if s.ID == id {
				f()
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// A collector that is killed in the middle and comes back later misses no span.
// What it has twice is of the batch that it had not acknowledged when it died,
// and has the same identifiers.
func TestCollectorKilledInTheMiddle(t *testing.T) {
	for _, scheme := range []string{"grpc", "http"} {
		t.Run(scheme, func(t *testing.T) {
			const n, batch = 20_000, 500
			dir := t.TempDir()
			c := collectortest.Run(t, collectortest.Options{Dir: dir})
			url := map[string]string{"grpc": "grpc://" + c.GRPC, "http": "http://" + c.HTTP}[scheme]
			opt := options(t)
			opt.Batch = batch
			killed, back := make(chan struct{}), make(chan *collectortest.Collector, 1)
			go func() { // at a moment that has nothing to do with what is sent
				time.Sleep(150 * time.Millisecond)
				if err := c.Kill(); err != nil {
					t.Error(err)
				}
				close(killed)
				time.Sleep(700 * time.Millisecond)
				again, err := collectortest.Start(context.WithoutCancel(t.Context()), collectortest.Options{Dir: dir, GRPC: c.GRPC, HTTP: c.HTTP})
				if err != nil {
					t.Error(err)
				}
				back <- again
			}()
			kept := openSpool(t, filepath.Join(t.TempDir(), "spool"), 0)
			defer closeSpool(t, kept)
			// The source is slow at first, and done only after the kill.
			spans := requests(n)
			for id := uint64(batch); id <= n/2; id += batch {
				spans = then(spans, id, func() { time.Sleep(10 * time.Millisecond) })
			}
			spans = then(spans, n/2+batch/2, func() { <-killed })
			stats, err := otlp.Push(t.Context(), transport.Endpoint{URL: url}, spans, opt, sends(kept, 0))
			again := <-back
			if again == nil {
				t.FailNow()
			}
			defer func() {
				if err := again.Close(); err != nil {
					t.Error(err)
				}
			}()
			t.Logf("%+v", stats)
			if err != nil || stats.Accepted != n || stats.Waiting != 0 || stats.Retries == 0 {
				t.Errorf("stats %+v, error %v", stats, err)
			}
			got, err := again.Spans()
			if err != nil {
				t.Fatal(err)
			}
			times := map[string]int{}
			for _, s := range got {
				times[s.SpanID().String()]++
			}
			twice := map[int]bool{} // the batches of what came twice
			for id := uint64(1); id <= n; id++ {
				switch times[otlp.SpanID(instance, id).String()] {
				case 0:
					t.Fatalf("span %d did not arrive", id)
				case 1:
				case 2:
					twice[int(id-1)/batch] = true
				default:
					t.Errorf("span %d arrived more than twice", id)
				}
			}
			if len(times) != n || len(twice) > 1 {
				t.Errorf("%d different spans of %d, repeats in the batches %v", len(times), n, twice)
			}
		})
	}
}

// What cannot be sent waits on disk in order, across processes, and no more than
// is allowed.
func TestWaitsForTheNextTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	const n, batch = 3000, 500
	opt := options(t)
	opt.Batch = batch
	kept := openSpool(t, dir, 0)
	stats, err := otlp.Push(t.Context(), transport.Endpoint{URL: "grpc://127.0.0.1:1"}, requests(n), opt, sends(kept, 50*time.Millisecond))
	var fail *delivery.Error
	if !errors.As(err, &fail) || !fail.Passing || fail.Waiting != n/batch || stats.Waiting != n/batch || stats.Items != n || stats.Accepted != 0 {
		t.Fatalf("stats %+v, error %v", stats, err)
	}
	if !strings.Contains(err.Error(), "6 batches wait in "+dir) {
		t.Errorf("the error is %v", err)
	}
	if _, err := spool.Open(dir, 0); !errors.Is(err, spool.ErrInUse) {
		t.Errorf("a second user of the spool: %v", err)
	}
	closeSpool(t, kept)

	// One file was damaged meanwhile, one is no batch, one was being written.
	files, err := filepath.Glob(filepath.Join(dir, "*.batch"))
	if err != nil || len(files) != n/batch {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	data[100]++
	for name, b := range map[string][]byte{files[2]: data, filepath.Join(dir, "x.batch"): nil, filepath.Join(dir, "unfinished"): []byte("UKSP")} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := collectortest.Run(t, collectortest.Options{})
	kept = openSpool(t, dir, 0)
	defer closeSpool(t, kept)
	stats, err = otlp.Push(t.Context(), transport.Endpoint{URL: "http://" + c.HTTP}, exporters.Of(), opt, sends(kept, 0))
	if err != nil || stats.Replayed != n-batch || stats.Waiting != 0 || len(stats.Notes) != 1 || !strings.Contains(stats.Notes[0], "damaged") {
		t.Errorf("stats %+v, error %v", stats, err)
	}
	got, err := c.Spans()
	if err != nil || len(got) != n-batch {
		t.Fatal(len(got), err)
	}
	for i, s := range got { // in order
		id := uint64(i + 1)
		if i >= 2*batch {
			id += batch
		}
		if s.SpanID().String() != otlp.SpanID(instance, id).String() {
			t.Fatalf("span %d of the replay is not number %d", i, id)
		}
	}
}

// A full spool holds the source back; what was not taken from it is not lost.
func TestFullSpool(t *testing.T) {
	opt := options(t)
	opt.Batch = 100
	taken := uint64(0)
	spans := func(yield func(exporters.Span, error) bool) {
		for s := range requests(5000) {
			if taken = s.ID; !yield(s, nil) {
				return
			}
		}
	}
	const limit = 200_000
	kept := openSpool(t, filepath.Join(t.TempDir(), "spool"), limit)
	defer closeSpool(t, kept)
	stats, err := otlp.Push(t.Context(), transport.Endpoint{URL: "grpc://127.0.0.1:1"}, spans, opt, sends(kept, 20*time.Millisecond))
	batches, bytes := kept.Waiting()
	if !errors.Is(err, spool.ErrFull) || bytes > limit || batches == 0 || stats.Items != 100*batches || taken > uint64(stats.Items)+101 {
		t.Errorf("%d batches, %d bytes, %d spans taken; stats %+v, error %v", batches, bytes, taken, stats, err)
	}
}

// A batch that a receiver will never take is set aside and does not hold up the
// others; bad credentials set nothing aside.
func TestRefusedBatch(t *testing.T) {
	opt := options(t)
	opt.Batch = 100
	dir := filepath.Join(t.TempDir(), "spool")
	for _, grpc := range []bool{true, false} {
		url, _, _ := script(t, grpc, false, answer{grpc: status.New(codes.InvalidArgument, "bad spans"), status: 400}, answer{grpc: fine, status: 200})
		kept := openSpool(t, dir, 0)
		stats, err := otlp.Push(t.Context(), transport.Endpoint{URL: url}, requests(200), opt, sends(kept, 0))
		if err != nil || stats.Failed != 100 || stats.Accepted != 100 || stats.Waiting != 0 || !strings.Contains(fmt.Sprint(stats.Notes), ".refused") {
			t.Errorf("stats %+v, error %v", stats, err)
		}
		closeSpool(t, kept)
	}
	url, _, _ := script(t, true, false, answer{grpc: status.New(codes.Unauthenticated, "who?")})
	kept := openSpool(t, dir, 0)
	defer closeSpool(t, kept)
	stats, err := otlp.Push(t.Context(), transport.Endpoint{URL: url}, requests(100), opt, sends(kept, 0))
	var fail *delivery.Error
	if !errors.As(err, &fail) || fail.Passing || stats.Waiting != 1 {
		t.Errorf("stats %+v, error %v", stats, err)
	}
}
