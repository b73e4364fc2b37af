package agent

import (
	"time"

	"github.com/ukdbg/ukdbg/exporters"
)

// maxSeries bounds the guests whose numbers are told one by one; of more only the
// first, by process number, and how many are left out.
const maxSeries = 1000

// metrics are the agent's numbers of this moment.
func (a *agent) metrics(now time.Time) []exporters.Metric {
	b := &numbers{start: a.began, now: now}
	cpu, share, slow := a.self.used()
	f := &a.fleet
	f.mu.Lock()
	seen, ignored, scans, reloads, refused, renewals := f.seen, f.ignored, f.scans, f.reloads, f.refused, f.renewed
	cfg, out, files := f.cfg, f.out, f.files
	f.mu.Unlock()
	if cfg == nil {
		return nil // asked before there is anything
	}
	guests := f.list()

	b.counter("ukdbg.agent.cpu.time", "CPU time the agent used.", "s", cpu.Seconds())
	b.gauge("ukdbg.agent.cpu.share", "Part of one CPU the agent used of late.", "1", share)
	b.gauge("ukdbg.agent.cpu.limit", "Part of one CPU the agent may use.", "1", float64(cfg.Limits.CPU))
	b.gauge("ukdbg.agent.slowdown", "By how much work is done more seldom to stay within the limit, 1 for not at all.", "1", slow)
	b.gauge("ukdbg.agent.memory", "Resident memory of the agent.", "By", float64(rss()))
	b.gauge("ukdbg.agent.memory.limit", "Memory the agent may use.", "By", float64(cfg.Limits.Memory))
	b.counter("ukdbg.agent.scans", "How often guests were looked for.", "{scan}", float64(scans))
	b.counter("ukdbg.agent.config.reloads", "Configurations taken over.", "{file}", float64(reloads))
	b.counter("ukdbg.agent.config.refused", "Changed configuration files that were refused.", "{file}", float64(refused))
	b.counter("ukdbg.agent.credentials.renewed", "How often certificates and tokens were read again, as their files changed.", "{file}", float64(renewals))
	b.gauge("ukdbg.agent.credentials.failing", "Certificates and tokens whose files cannot be read as they are now; those of before stay in force.", "{file}", float64(failing(files)))
	for _, p := range []struct {
		name string
		pool *pool
	}{{"looks", a.looks}, {"bursts", a.bursts}} {
		free, stuck := p.pool.count()
		b.gauge("ukdbg.agent.workers.free", "Places for work that are free.", "{worker}", float64(free), exporters.String("pool", p.name))
		b.gauge("ukdbg.agent.workers.stuck", "Pieces of work that outlived their time.", "{worker}", float64(stuck), exporters.String("pool", p.name))
	}
	waiting := f.room.Stats()
	b.gauge("ukdbg.agent.spans.waiting", "Spans of all guests that wait for the ends of their traces.", "{span}", float64(waiting.Spans))
	b.gauge("ukdbg.agent.spans.waiting.size", "Memory these take up, about.", "By", float64(waiting.Bytes))
	b.gauge("ukdbg.agent.spans.waiting.limit", "Memory these may take up; above it the guest that has most gives up its oldest trace.", "By", float64(waiting.Most))
	images := a.images.Stats()
	b.gauge("ukdbg.agent.images.open", "Images that are open.", "{image}", float64(images.Open))

	b.counter("ukdbg.guests.seen", "Guests seen since the agent's start.", "{guest}", float64(seen))
	b.gauge("ukdbg.guests.ignored", "Guests the configuration leaves out.", "{guest}", float64(ignored))
	states := map[string]int{}
	for i, g := range guests {
		g.mu.Lock()
		state := g.host.State
		if state == "" {
			state = "unknown"
		}
		states[state]++
		if i < maxSeries {
			b.guest(g)
		}
		g.mu.Unlock()
	}
	for state, n := range states {
		b.gauge("ukdbg.guests", "Guests there are, by run state.", "{guest}", float64(n), exporters.String("state", state))
	}
	if len(guests) > maxSeries {
		b.gauge("ukdbg.guests.untold", "Guests that are too many to be told one by one.", "{guest}", float64(len(guests)-maxSeries))
	}
	b.queues(out)
	return redactMetrics(b.list, cfg.Redact)
}

// metricsNow is for a scrape.
func (a *agent) metricsNow() []exporters.Metric { return a.metrics(time.Now()) }

// numbers collects metrics.
type numbers struct {
	start, now time.Time
	list       []exporters.Metric
	index      map[string]int
}

func (b *numbers) add(kind exporters.MetricKind, name, about, unit string, v float64, attrs []exporters.Attr) {
	p := exporters.Point{Attrs: attrs, Time: b.now, Value: v}
	if kind == exporters.MetricCounter {
		p.Start = b.start
	}
	b.points(kind, name, about, unit, []exporters.Point{p})
}

func (b *numbers) points(kind exporters.MetricKind, name, about, unit string, p []exporters.Point) {
	if b.index == nil {
		b.index = map[string]int{}
	}
	i, ok := b.index[name]
	if !ok {
		i = len(b.list)
		b.index[name] = i
		b.list = append(b.list, exporters.Metric{Name: name, Description: about, Unit: unit, Kind: kind})
	}
	b.list[i].Points = append(b.list[i].Points, p...)
}

func (b *numbers) counter(name, about, unit string, v float64, attrs ...exporters.Attr) {
	b.add(exporters.MetricCounter, name, about, unit, v, attrs)
}

func (b *numbers) gauge(name, about, unit string, v float64, attrs ...exporters.Attr) {
	b.add(exporters.MetricGauge, name, about, unit, v, attrs)
}

// guest tells one guest's numbers; its lock is held.
func (b *numbers) guest(g *guest) {
	who := func(more ...exporters.Attr) []exporters.Attr {
		return append([]exporters.Attr{exporters.String("guest", label(&g.host)), exporters.String("instance", runName(g.instance, g.generation))}, more...)
	}
	n := &g.counts
	hash := g.image.Hash
	if hash == "" && g.imagePath == "" {
		hash = "unknown"
	}
	b.gauge("ukdbg.guest.info", "1 for each guest, with what it is.", "1", 1, who(exporters.String("image", hash), exporters.String("state", g.host.State),
		exporters.String("vmm", string(g.host.Kind)), exporters.String("console", g.features[featureConsole].State))...)
	b.counter("ukdbg.guest.vmm.cpu.time", "CPU time the guest's VMM used.", "s", g.vmmCPU.Seconds(), who()...)
	b.counter("ukdbg.guest.profiles", "Bursts of samples.", "{profile}", float64(n.Bursts), who()...)
	b.counter("ukdbg.guest.samples", "Moments the guest was sampled at.", "{sample}", float64(n.Samples), who()...)
	b.counter("ukdbg.guest.samples.missed", "Moments that were let go.", "{sample}", float64(n.Missed), who()...)
	b.counter("ukdbg.guest.stops", "How often the agent stopped the guest.", "{stop}", float64(n.Stops), who()...)
	b.counter("ukdbg.guest.stopped.time", "How long the agent kept the guest stopped.", "s", n.Stopped.Seconds(), who()...)
	b.counter("ukdbg.guest.vcpu.exits", "How often processors left the guest to be looked at.", "{exit}", float64(n.Exits), who()...)
	b.counter("ukdbg.guest.trace.records", "Trace records read.", "{record}", float64(n.Records), who()...)
	b.counter("ukdbg.guest.trace.lost", "Trace records the guest says are lost.", "{record}", float64(n.Lost), who()...)
	spans := g.spanStats()
	b.counter("ukdbg.guest.spans", "Spans made of trace records.", "{span}", float64(spans.Seen), who()...)
	b.counter("ukdbg.guest.spans.kept", "Spans sent on.", "{span}", float64(spans.Kept), who()...)
	for _, d := range []struct {
		why string
		n   uint64
	}{{"sampled", spans.Sampled}, {"budget", spans.Budget}} {
		b.counter("ukdbg.guest.spans.left_out", "Spans not sent on; ukdbg.span.duration counts them too.", "{span}", float64(d.n), who(exporters.String("reason", d.why))...)
	}
	b.counter("ukdbg.guest.traces.unfinished", "Traces decided upon before their ends, sent on or not.", "{trace}", float64(spans.Unfinished), who()...)
	b.counter("ukdbg.guest.traces.crowded", "Those of them whose spans the agent had no room for any more.", "{trace}", float64(spans.Crowded), who()...)
	if g.trace.sampler != nil {
		durations, failed := g.trace.sampler.Points(g.found, b.now, who()...)
		b.points(exporters.MetricHistogram, "ukdbg.span.duration", "How long operations of the guest took, sent on or not.", "s", durations)
		b.points(exporters.MetricCounter, "ukdbg.span.errors", "Operations of the guest that failed.", "{span}", failed)
	}
	b.counter("ukdbg.guest.faults", "Fault reports on the console.", "{fault}", float64(n.Faults), who()...)
	if g.console != nil {
		s, unkept := g.console.stats(), 0.0
		if s.Unkept != "" {
			unkept = 1
		}
		b.counter("ukdbg.guest.console.skipped", "Bytes of the console passed unread, because reading lagged.", "By", float64(s.Skipped), who()...)
		b.counter("ukdbg.guest.console.gaps", "Rotations of the console at which something may have been lost unread.", "{gap}", float64(s.Gaps), who()...)
		b.gauge("ukdbg.guest.console.unkept", "1 while it cannot be kept how far the console was read.", "", unkept, who()...)
	}
	b.gauge("ukdbg.guest.clock.uncertainty", "How far times of the guest may be wrong.", "s", n.Clock.Seconds(), who()...)
	for lane, failures := range n.Failures {
		b.counter("ukdbg.guest.failures", "Work on the guest that failed.", "{failure}", float64(failures), who(exporters.String("work", lane))...)
	}
}

// queues tells what became of what was sent.
func (b *numbers) queues(o *outputs) {
	for _, r := range o.receivers {
		who := func(more ...exporters.Attr) []exporters.Attr {
			return append([]exporters.Attr{exporters.String("receiver", r.name), exporters.String("signal", r.signal.String())}, more...)
		}
		s := r.queue.Stats()
		b.counter("ukdbg.export.items", "Spans, records, points or profiles to be sent.", "{item}", float64(s.Items), who()...)
		b.counter("ukdbg.export.accepted", "Items the receiver took.", "{item}", float64(s.Accepted), who()...)
		b.counter("ukdbg.export.rejected", "Items the receiver took and does not keep.", "{item}", float64(s.Rejected), who()...)
		b.counter("ukdbg.export.failed", "Items the receiver refuses.", "{item}", float64(s.Failed), who()...)
		b.counter("ukdbg.export.retries", "Attempts that failed for a passing reason.", "{attempt}", float64(s.Retries), who()...)
		b.gauge("ukdbg.export.waiting", "Batches that wait.", "{batch}", float64(s.Waiting), who()...)
		b.gauge("ukdbg.export.waiting.size", "Size of the batches that wait.", "By", float64(s.WaitingBytes), who()...)
		full := 0.0
		if s.DiskError != "" {
			full = 1
		}
		b.gauge("ukdbg.export.spool.failing", "1 while the spool's disk takes no batches.", "", full, who()...)
		b.counter("ukdbg.export.spool.failed", "Batches that the spool's disk did not take.", "{batch}", float64(s.Unspooled), who()...)
		for reason, n := range s.Dropped {
			b.counter("ukdbg.export.dropped", "Items that could not be kept.", "{item}", float64(n), who(exporters.String("reason", reason))...)
		}
		away := 0.0
		if !s.Away.IsZero() {
			away = b.now.Sub(s.Away).Seconds()
		}
		b.gauge("ukdbg.export.away", "For how long the receiver has taken nothing, 0 if it does.", "s", max(away, 0), who()...)
	}
}
