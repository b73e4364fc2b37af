package agent

import (
	"bytes"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/parca"
	"github.com/ukdbg/ukdbg/exporters/pprof"
	"github.com/ukdbg/ukdbg/exporters/pyroscope"
	"github.com/ukdbg/ukdbg/exporters/series"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/profiler"
)

// openProfiles opens the receivers that take nothing but profiles.
func (o *outputs) openProfiles(c *config.Config, n int) error {
	for _, r := range c.Export.Pyroscope {
		ep := transport.Endpoint{URL: r.URL, Gzip: false} // the profile is compressed
		if r.Tenant != "" {
			ep.Headers = map[string]string{"X-Scope-OrgID": r.Tenant}
		}
		var err error
		if ep.TLS, err = trust(r.CAFile); err != nil {
			return err
		}
		if ep.Authorize = bearer(r.BearerFile); r.PasswordFile != "" {
			ep.Authorize = func() (string, error) {
				password, err := config.ReadSecret(r.PasswordFile)
				return transport.Basic(r.User, password), err
			}
		}
		mode := pyroscope.Ingest
		if r.Mode == "connect" {
			mode = pyroscope.Connect
		}
		s, err := pyroscope.NewSender(ep, mode)
		if err != nil {
			return err
		}
		if err := o.add(c, stored("pyroscope "+s.Name(), s.Close), s, n); err != nil {
			return err
		}
	}
	for _, r := range c.Export.Parca {
		ep := transport.Endpoint{URL: r.URL, Authorize: bearer(r.BearerFile)}
		var err error
		if ep.TLS, err = trust(r.CAFile); err != nil {
			return err
		}
		s, err := parca.NewSender(ep)
		if err != nil {
			return err
		}
		if err := o.add(c, stored("parca "+s.Name(), s.Close), s, n); err != nil {
			return err
		}
	}
	return nil
}

// stored is a receiver that keeps series of pprof profiles.
func stored(name string, end func()) *receiver {
	return &receiver{name: name, signal: delivery.Profiles, end: end, profile: func(res otlp.Resource, p *profiler.Profile) (delivery.Batch, error) {
		var data bytes.Buffer
		if err := pprof.Write(&data, p); err != nil {
			return delivery.Batch{}, err
		}
		s := series.Series{
			Name: series.Name(p.Kind), Service: res.ServiceName, From: p.Start, Until: p.Start.Add(p.Duration), Pprof: data.Bytes(), Normalized: normalized(p),
			Labels: []series.Label{
				{Name: series.LabelInstance, Value: res.InstanceID}, {Name: series.LabelHost, Value: hostname()},
				{Name: series.LabelImage, Value: res.ImageHash}, {Name: "namespace", Value: res.ServiceNamespace}, {Name: "environment", Value: res.Environment},
			},
		}
		return series.Batch(s), nil
	}}
}

// normalized reports whether the addresses of a profile are those of its image's file.
func normalized(p *profiler.Profile) bool {
	for _, m := range p.Mappings {
		if m.Slide != 0 {
			return false
		}
	}
	return true
}
