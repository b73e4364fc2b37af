package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
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
	share     int64    // of the spool, for each receiver
	old       *outputs // until begin
}

// receiver takes one signal.
type receiver struct {
	name string
	// spec is what it was made of: a configuration that says the same of it uses it on.
	spec   string
	signal delivery.Signal
	queue  *delivery.Queue
	spool  *spool.Spool // nil without one
	end    func()
	files  []file // with certificates and tokens
	// profile makes a batch of a profile, nil for other signals.
	profile func(otlp.Resource, *profiler.Profile) (delivery.Batch, error)

	// opt is what its queue is made with, and heirOf the receiver whose spool it takes
	// over, until begin.
	opt    delivery.Options
	heirOf *receiver
	// told of the log: that it is away, and what is wrong with the spool's disk. The
	// manager's.
	toldAway bool
	toldDisk string
}

// newOutputs prepares the receivers of a configuration; those of old, nil for none,
// about which it says the same are used on. Nothing is changed before begin.
func newOutputs(c *config.Config, version string, log *logger, old *outputs) (*outputs, error) {
	o := &outputs{version: version, log: log, old: old}
	n := 0
	for _, r := range c.Export.OTLP {
		n += len(r.Signals)
	}
	o.share = max(int64(c.Limits.SpoolMax)/int64(max(n+len(c.Export.Pyroscope)+len(c.Export.Parca), 1)), 64<<10)
	if err := o.open(c); err != nil {
		return nil, errors.Join(err, o.abandon())
	}
	return o, nil
}

func (o *outputs) open(c *config.Config) error {
	for i := range c.Export.OTLP {
		if err := o.openOTLP(c, &c.Export.OTLP[i]); err != nil {
			return err
		}
	}
	return o.openProfiles(c)
}

// abandon gives back what newOutputs opened.
func (o *outputs) abandon() error {
	var errs []error
	for _, r := range o.receivers {
		if r.queue != nil {
			continue
		}
		r.end()
		if r.spool != nil {
			errs = append(errs, r.spool.Close())
		}
	}
	return errors.Join(errs...)
}

// begin puts the receivers in force and returns those of before that are not any more,
// to be closed. Nothing is put into either meanwhile.
func (o *outputs) begin() (gone *outputs) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	for _, r := range o.receivers {
		if from := r.heirOf; from != nil {
			_ = from.queue.Close(now) // what waits is in the spool
			from.end()
			r.spool = from.spool
		}
		if r.spool != nil {
			r.spool.SetLimit(o.share)
			r.opt.Spool = r.spool
		}
		if r.queue == nil {
			r.queue = delivery.New(r.opt)
		}
	}
	gone = &outputs{}
	if o.old != nil {
		for _, r := range o.old.receivers {
			if !slices.ContainsFunc(o.receivers, func(is *receiver) bool { return is == r || is.heirOf == r }) {
				gone.receivers = append(gone.receivers, r)
			}
		}
	}
	for _, r := range o.receivers {
		r.heirOf = nil
	}
	o.old = nil
	return gone
}

func (o *outputs) openOTLP(c *config.Config, r *config.OTLP) error {
	ep := transport.Endpoint{URL: r.URL, Headers: r.Headers, Gzip: true}
	files, err := credentials(&ep, r.CAFile, r.BearerFile, transport.Bearer)
	if err != nil {
		return err
	}
	for _, name := range r.Signals {
		signal := map[string]delivery.Signal{"traces": delivery.Traces, "logs": delivery.Logs, "metrics": delivery.Metrics, "profiles": delivery.Profiles}[name]
		sender, err := otlp.NewSender(ep)
		if err != nil {
			return err
		}
		rec := &receiver{name: "otlp " + sender.Name(), signal: signal, end: sender.Close, files: files}
		if signal == delivery.Profiles {
			rec.profile = func(res otlp.Resource, p *profiler.Profile) (delivery.Batch, error) {
				return otlpprofiles.Batch(p, otlpprofiles.Options{Resource: res, Version: o.version}), nil
			}
		}
		one := *r
		one.Signals = nil
		if err := o.add(c, rec, sender, fmt.Sprintf("%+v", one)); err != nil {
			return err
		}
	}
	return nil
}

// add takes a receiver that the configuration says something about, with a spool of
// its own.
func (o *outputs) add(c *config.Config, r *receiver, sender delivery.Sender, says string) error {
	r.spec = fmt.Sprint(r.name, " ", r.signal, " ", says, " ", c.Limits.Queue, " ", c.Limits.Spool)
	for _, was := range o.before() {
		if was.spec == r.spec {
			r.end()
			o.receivers = append(o.receivers, was)
			return nil
		}
	}
	r.opt = delivery.Options{Name: r.name, Sender: sender, MaxMemory: int64(c.Limits.Queue)}
	if c.Limits.Spool != "" {
		sum := sha256.Sum256([]byte(r.name + " " + r.signal.String()))
		dir := filepath.Join(c.Limits.Spool, strings.Fields(r.name)[0]+"-"+r.signal.String()+"-"+hex.EncodeToString(sum[:6]))
		for _, was := range o.before() {
			if was.spool != nil && was.spool.Dir() == dir {
				r.heirOf = was
			}
		}
		if r.heirOf == nil {
			s, err := spool.OpenLater(dir, o.share)
			if err != nil {
				r.end()
				return fmt.Errorf("spool for %s: %w", r.name, err)
			}
			r.spool = s
		}
	}
	o.receivers = append(o.receivers, r)
	return nil
}

// before are the receivers in force that are not used on yet.
func (o *outputs) before() (list []*receiver) {
	if o.old == nil {
		return nil
	}
	for _, was := range o.old.receivers {
		if !slices.ContainsFunc(o.receivers, func(r *receiver) bool { return r == was || r.heirOf == was }) {
			list = append(list, was)
		}
	}
	return list
}

// patientAway is how long a receiver may be away before the log tells.
const patientAway = 5 * time.Second

// tell has the log tell of receivers that are away and of a disk that is full, once.
func (o *outputs) tell() {
	for _, r := range o.receivers {
		s := r.queue.Stats()
		switch away := !s.Away.IsZero(); {
		case away && !r.toldAway && time.Since(s.Away) > patientAway:
			r.toldAway = true
			o.log.printf("%s takes no %s: %s", r.name, r.signal, s.LastError)
		case !away && r.toldAway:
			r.toldAway = false
			o.log.printf("%s takes %s again", r.name, r.signal)
		}
		if s.DiskError == r.toldDisk {
			continue
		}
		if r.toldDisk = s.DiskError; s.DiskError != "" {
			o.log.printf("%s: %s: %s; kept in memory", r.name, r.signal, s.DiskError)
		} else {
			o.log.printf("%s: %s: the spool takes batches again", r.name, r.signal)
		}
	}
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
