package config

import (
	"time"
)

// Size is a number of bytes: "300MiB", "1GiB", "4096".
type Size int64

// Share is a part of a whole: "1%", "0.01".
type Share float64

// Config is all there is to say. Default has every default.
type Config struct {
	Guests   Guests   `key:"guests" doc:"Which guests of this host are watched, and how often new ones are looked for."`
	Images   Images   `key:"images" doc:"Where images with debug information (NAME.dbg) are. Beside a guest's kernel is looked always."`
	Profile  Profile  `key:"profile" doc:"Continuous profiling. A guest whose VMM used no CPU time is not sampled: its profile is empty."`
	Traces   Traces   `key:"traces" doc:"Tracepoints, made spans of."`
	Console  Console  `key:"console" doc:"Consoles are followed; a fault report on one becomes a log record."`
	Stops    Stops    `key:"stops" doc:"Whether a guest may be stopped for a moment where nothing else reads it."`
	Limits   Limits   `key:"limits" doc:"What the agent may use itself."`
	Resource Resource `key:"resource" doc:"What is told of every guest."`
	Redact   []string `key:"redact" doc:"Globs of attribute, label and thread names whose values are replaced by \"redacted\"."`
	Export   Export   `key:"export" doc:"Where to. Each receiver has a queue of its own; none means that nothing is sent."`
	Listen   Listen   `key:"listen" doc:"The agent's own pages: /metrics, /healthz, /readyz and / for people. They only show."`
}

// Guests chooses guests.
type Guests struct {
	Include []string      `key:"include" doc:"Globs of names; a guest is watched if one fits. A guest without a name is called pid-N."`
	Exclude []string      `key:"exclude" doc:"Globs of names of those that are not."`
	Every   time.Duration `key:"every" doc:"How often new guests are looked for." min:"500ms" max:"1m"`
	Timeout time.Duration `key:"timeout" doc:"How long a monitor or stub is waited for; one that hangs is asked again ever more seldom." min:"100ms" max:"1m"`
}

// Images says where images are.
type Images struct {
	Dirs  []string      `key:"dirs" doc:"Folders of images."`
	OCI   []string      `key:"oci" doc:"OCI image layouts with kernel.dbg in them."`
	Kraft []string      `key:"kraft" doc:"Build folders of kraft."`
	Every time.Duration `key:"every" doc:"How often these are looked through again." min:"1s" max:"24h"`
}

// Profile is continuous profiling.
type Profile struct {
	Enabled  bool          `key:"enabled" doc:"Whether guests are profiled."`
	Kinds    []string      `key:"kinds" doc:"What is profiled, in turn." values:"cpu,wall,offcpu,heap,lock"`
	Hz       float64       `key:"hz" doc:"Samples a second in a burst." min:"0.1" max:"999"`
	Duration time.Duration `key:"duration" doc:"How long a burst is." min:"100ms" max:"10m"`
	Every    time.Duration `key:"every" doc:"From the begin of a guest's burst to the begin of its next." min:"1s" max:"24h"`
	AtOnce   int           `key:"at_once" doc:"How many guests are sampled at a time." min:"1" max:"256"`
	MinCPU   Share         `key:"min_cpu" doc:"A guest whose VMM used less than this part of a CPU since its last burst is left alone." min:"0" max:"1"`
}

// Traces is tracing.
type Traces struct {
	Enabled        bool          `key:"enabled" doc:"Whether trace buffers are read. They are read, not emptied: a plain buffer that is full says no more until somebody empties it (ukdbg trace record); rings go on for ever."`
	Every          time.Duration `key:"every" doc:"How often the buffer of a guest that runs is looked at, at least; a fuller one is more often." min:"20ms" max:"1m"`
	Slow           time.Duration `key:"slow" doc:"Traces with a request longer than this are all kept; 0s for longer than 99 % of its like." min:"0s" max:"1h"`
	Errors         bool          `key:"errors" doc:"Traces with a failed span are all kept."`
	Keep           Share         `key:"keep" doc:"The part of the others that is kept." min:"0" max:"1"`
	SpansPerSecond float64       `key:"spans_per_second" doc:"The most spans of this host that are sent in a second; the rest is counted, and in the metrics." min:"0" max:"1000000"`
}

// Console is the following of consoles.
type Console struct {
	Enabled     bool          `key:"enabled" doc:"Whether consoles are followed."`
	State       string        `key:"state" doc:"The folder that remembers how far each console was read; \"\" begins anew with each start."`
	FromStart   bool          `key:"from_start" doc:"Whether a console seen for the first time is read from its beginning, not from its end."`
	KeepCrashed time.Duration `key:"keep_crashed" doc:"How long a guest that dies is kept to make a small dump of it, 0s for not at all. The VMM's setting is put back." min:"0s" max:"10m"`
	DumpDir     string        `key:"dump_dir" doc:"Where these dumps go."`
}

// Stops says what may stop a guest.
type Stops struct {
	Profile Share         `key:"profile" doc:"The part of the time that profiling may keep a guest stopped which only its stub can be asked; 0 refuses such guests." min:"0" max:"0.5"`
	Longest time.Duration `key:"longest" doc:"The longest single stop; a guard gives the guest back in time." min:"200us" max:"1s"`
}

// Limits bound the agent itself.
type Limits struct {
	CPU      Share  `key:"cpu" doc:"The part of one CPU the agent may use; above it, bursts become fewer." min:"0.001" max:"64"`
	Memory   Size   `key:"memory" doc:"Memory the agent may use." min:"32MiB" max:"64GiB"`
	Workers  int    `key:"workers" doc:"How many guests are worked on at a time, 0 for twice the CPUs." min:"0" max:"256"`
	Spool    string `key:"spool" doc:"The folder that keeps what could not be sent yet; \"\" keeps it in memory only."`
	SpoolMax Size   `key:"spool_max" doc:"The most that is kept in it, for all receivers; what does not fit is counted as dropped." min:"1MiB" max:"1TiB"`
	Queue    Size   `key:"queue" doc:"The most that waits in memory for one receiver." min:"64KiB" max:"4GiB"`
}

// Resource is told of every guest.
type Resource struct {
	Namespace   string            `key:"namespace" doc:"service.namespace"`
	Environment string            `key:"environment" doc:"deployment.environment.name"`
	Attributes  map[string]string `key:"attributes" doc:"Further attributes of every guest's resource."`
}

// Export is where to.
type Export struct {
	OTLP      []OTLP        `key:"otlp" doc:"OpenTelemetry receivers."`
	Pyroscope []Pyroscope   `key:"pyroscope" doc:"Pyroscope servers, for profiles."`
	Parca     []Parca       `key:"parca" doc:"Parca servers, for profiles."`
	Every     time.Duration `key:"every" doc:"How often metrics are sent." min:"1s" max:"1h"`
}

// OTLP is a receiver of OpenTelemetry's.
type OTLP struct {
	URL        string            `key:"url" doc:"http://HOST:4318, https://, grpc://HOST:4317 or grpcs://" required:"true"`
	Signals    []string          `key:"signals" doc:"What it gets." values:"traces,metrics,logs,profiles"`
	Headers    map[string]string `key:"headers" doc:"Sent with each request; secrets belong into bearer_file."`
	BearerFile string            `key:"bearer_file" doc:"A file, mode 0600, whose first line is the bearer token."`
	CAFile     string            `key:"ca_file" doc:"Certificates to trust in place of the system's."`
}

// Pyroscope is a receiver of profiles.
type Pyroscope struct {
	URL          string `key:"url" doc:"http://HOST:4040" required:"true"`
	Mode         string `key:"mode" doc:"Which of its two ways." values:"ingest,connect"`
	Tenant       string `key:"tenant" doc:"X-Scope-OrgID"`
	User         string `key:"user" doc:"For basic authentication."`
	PasswordFile string `key:"password_file" doc:"A file, mode 0600, with the password."`
	BearerFile   string `key:"bearer_file" doc:"A file, mode 0600, whose first line is the bearer token."`
	CAFile       string `key:"ca_file" doc:"Certificates to trust in place of the system's."`
}

// Parca is a receiver of profiles.
type Parca struct {
	URL        string `key:"url" doc:"grpc://HOST:7070, grpcs://, or for its HTTP interface http://HOST:7070, https://" required:"true"`
	BearerFile string `key:"bearer_file" doc:"A file, mode 0600, whose first line is the bearer token."`
	CAFile     string `key:"ca_file" doc:"Certificates to trust in place of the system's."`
}

// Listen is the agent's own pages.
type Listen struct {
	Address    string `key:"address" doc:"HOST:PORT, \"\" for none. Beyond loopback TLS and a bearer token are demanded."`
	CertFile   string `key:"cert_file" doc:"The certificate, PEM."`
	KeyFile    string `key:"key_file" doc:"Its key, mode 0600, PEM."`
	BearerFile string `key:"bearer_file" doc:"A file, mode 0600, whose first line is the token that callers must show."`
}

// Default is the configuration of an empty file.
func Default() *Config {
	return &Config{
		Guests:  Guests{Include: []string{"*"}, Every: 2 * time.Second, Timeout: 2 * time.Second},
		Images:  Images{Every: time.Minute},
		Profile: Profile{Enabled: true, Kinds: []string{"cpu"}, Hz: 19, Duration: 10 * time.Second, Every: time.Minute, AtOnce: 8, MinCPU: 0.005},
		Traces: Traces{Enabled: true, Every: 250 * time.Millisecond, Slow: 100 * time.Millisecond, Errors: true, Keep: 0.01,
			SpansPerSecond: 1000},
		Console: Console{Enabled: true},
		Stops:   Stops{Longest: 20 * time.Millisecond},
		Limits:  Limits{CPU: 0.05, Memory: 300 << 20, SpoolMax: 1 << 30, Queue: 8 << 20},
		Export:  Export{Every: 15 * time.Second},
		Listen:  Listen{Address: "127.0.0.1:9464"},
	}
}

// fresh are the defaults of what stands in lists.
func fresh(v any) {
	switch v := v.(type) {
	case *OTLP:
		v.Signals = []string{"traces", "metrics", "logs"}
	case *Pyroscope:
		v.Mode = "ingest"
	}
}
