package agent

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/otlpprofiles"
	"github.com/ukdbg/ukdbg/exporters/spool"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/profiler"
)

// outputs brings what was found to the receivers. It is safe for concurrent use.
type outputs struct {
	receivers []*receiver
	version   string
	log       *logger
}

// receiver takes one signal.
type receiver struct {
	name   string
	signal delivery.Signal
	queue  *delivery.Queue
	spool  *spool.Spool // nil without one
	end    func()
	// profile makes a batch of a profile, nil for other signals.
	profile func(otlp.Resource, *profiler.Profile) (delivery.Batch, error)
}

func newOutputs(c *config.Config, version string, log *logger) (*outputs, error) {
	o := &outputs{version: version, log: log}
	n := 0
	for _, r := range c.Export.OTLP {
		n += len(r.Signals)
	}
	n += len(c.Export.Pyroscope) + len(c.Export.Parca)
	err := o.open(c, max(n, 1))
	if err != nil {
		return nil, errors.Join(err, o.close(0))
	}
	return o, nil
}

func (o *outputs) open(c *config.Config, n int) error {
	for i := range c.Export.OTLP {
		if err := o.openOTLP(c, &c.Export.OTLP[i], n); err != nil {
			return err
		}
	}
	return o.openProfiles(c, n)
}

func (o *outputs) openOTLP(c *config.Config, r *config.OTLP, n int) error {
	ep := transport.Endpoint{URL: r.URL, Headers: r.Headers, Gzip: true}
	var err error
	if ep.TLS, err = trust(r.CAFile); err != nil {
		return err
	}
	ep.Authorize = bearer(r.BearerFile)
	for _, name := range r.Signals {
		signal := map[string]delivery.Signal{"traces": delivery.Traces, "logs": delivery.Logs, "metrics": delivery.Metrics, "profiles": delivery.Profiles}[name]
		sender, err := otlp.NewSender(ep)
		if err != nil {
			return err
		}
		rec := &receiver{name: "otlp " + sender.Name(), signal: signal, end: sender.Close}
		if signal == delivery.Profiles {
			rec.profile = func(res otlp.Resource, p *profiler.Profile) (delivery.Batch, error) {
				return otlpprofiles.Batch(p, otlpprofiles.Options{Resource: res, Version: o.version}), nil
			}
		}
		if err := o.add(c, rec, sender, n); err != nil {
			return err
		}
	}
	return nil
}

// add gives a receiver its queue, with a spool of its own.
func (o *outputs) add(c *config.Config, r *receiver, sender delivery.Sender, n int) error {
	opt := delivery.Options{Name: r.name, Sender: sender, MaxMemory: int64(c.Limits.Queue)}
	if c.Limits.Spool != "" {
		sum := sha256.Sum256([]byte(r.name + " " + r.signal.String()))
		dir := filepath.Join(c.Limits.Spool, strings.Fields(r.name)[0]+"-"+r.signal.String()+"-"+hex.EncodeToString(sum[:6]))
		s, err := spool.Open(dir, max(int64(c.Limits.SpoolMax)/int64(n), 64<<10))
		if err != nil {
			r.end()
			return fmt.Errorf("spool for %s: %w", r.name, err)
		}
		r.spool, opt.Spool = s, s
	}
	r.queue = delivery.New(opt)
	o.receivers = append(o.receivers, r)
	return nil
}

// close sends what it can in the time and closes everything. What is left in spools
// is for the next time.
func (o *outputs) close(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	errs := make(chan error, len(o.receivers))
	for _, r := range o.receivers {
		go func() {
			err := r.queue.Close(ctx)
			if r.spool != nil {
				err = errors.Join(err, r.spool.Close())
			}
			r.end()
			errs <- err
		}()
	}
	var all []error
	for range o.receivers {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// profile hands a guest's profile to all who take profiles.
func (o *outputs) profile(ctx context.Context, res otlp.Resource, p *profiler.Profile) {
	for _, r := range o.receivers {
		if r.profile == nil {
			continue
		}
		b, err := r.profile(res, p)
		if err == nil {
			err = r.queue.Put(context.WithoutCancel(ctx), b)
		}
		o.dropped(r, err)
	}
}

// spans hands on spans of one run of a guest.
func (o *outputs) spans(ctx context.Context, spans []exporters.Span, opt otlp.Options) {
	opt.Version = o.version
	o.each(ctx, delivery.Traces, func() iter.Seq2[delivery.Batch, error] { return otlp.EncodeTraces(exporters.Of(spans...), opt) })
}

// logs hands on log records.
func (o *outputs) logs(ctx context.Context, res otlp.Resource, records []exporters.LogRecord) {
	o.each(ctx, delivery.Logs, func() iter.Seq2[delivery.Batch, error] {
		return otlp.EncodeLogs(records, otlp.Options{Resource: res, Version: o.version})
	})
}

// metrics hands on metrics.
func (o *outputs) metrics(m []exporters.Metric, res otlp.Resource) {
	o.each(context.Background(), delivery.Metrics, func() iter.Seq2[delivery.Batch, error] {
		return otlp.EncodeMetrics(m, otlp.Options{Resource: res, Version: o.version})
	})
}

// each puts batches into every queue of a signal.
func (o *outputs) each(ctx context.Context, signal delivery.Signal, encode func() iter.Seq2[delivery.Batch, error]) {
	for _, r := range o.receivers {
		if r.signal != signal || r.profile != nil {
			continue
		}
		for b, err := range encode() {
			if err == nil {
				err = r.queue.Put(context.WithoutCancel(ctx), b)
			}
			o.dropped(r, err)
		}
	}
}

// dropped tells of what could not be kept; the queue counts it.
func (o *outputs) dropped(r *receiver, err error) {
	if err != nil {
		o.log.once("dropped "+r.name+r.signal.String(), "%s: %s: %v", r.name, r.signal, err)
	}
}

// wants reports whether anybody takes a signal.
func (o *outputs) wants(signal delivery.Signal) bool {
	return slices.ContainsFunc(o.receivers, func(r *receiver) bool { return r.signal == signal })
}

// bearer reads the token anew for each request: it may be renewed in its file.
func bearer(path string) func() (string, error) {
	if path == "" {
		return nil
	}
	return func() (string, error) {
		token, err := config.ReadSecret(path)
		if err != nil {
			return "", err
		}
		return transport.Bearer(token), nil
	}
}

// maxCerts bounds a file of certificates, in bytes.
const maxCerts = 4 << 20

// trust makes a TLS configuration that trusts a file's certificates alone, nil for
// the system's.
func trust(path string) (*tls.Config, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxCerts))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", path)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
