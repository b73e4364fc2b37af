package agent

import (
	"fmt"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/exporters/delivery"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/parca"
	"github.com/ukdbg/ukdbg/exporters/pyroscope"
	"github.com/ukdbg/ukdbg/exporters/series"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/profiler"
)

// openProfiles opens the receivers that take nothing but profiles.
func (o *outputs) openProfiles(c *config.Config) error {
	for _, r := range c.Export.Pyroscope {
		ep := transport.Endpoint{URL: r.URL, Gzip: false} // the profile is compressed
		if r.Tenant != "" {
			ep.Headers = map[string]string{"X-Scope-OrgID": r.Tenant}
		}
		secret, header := r.BearerFile, transport.Bearer
		if r.PasswordFile != "" {
			secret, header = r.PasswordFile, func(password string) string { return transport.Basic(r.User, password) }
		}
		files, err := credentials(&ep, r.CAFile, secret, header)
		if err != nil {
			return err
		}
		mode := pyroscope.Ingest
		if r.Mode == "connect" {
			mode = pyroscope.Connect
		}
		s, err := pyroscope.NewSender(ep, mode)
		if err != nil {
			return err
		}
		if err := o.add(c, stored("pyroscope "+s.Name(), s.Close, files), s, fmt.Sprintf("%+v", r)); err != nil {
			return err
		}
	}
	for _, r := range c.Export.Parca {
		ep := transport.Endpoint{URL: r.URL}
		files, err := credentials(&ep, r.CAFile, r.BearerFile, transport.Bearer)
		if err != nil {
			return err
		}
		s, err := parca.NewSender(ep)
		if err != nil {
			return err
		}
		if err := o.add(c, stored("parca "+s.Name(), s.Close, files), s, fmt.Sprintf("%+v", r)); err != nil {
			return err
		}
	}
	return nil
}

// stored is a receiver that keeps series of pprof profiles.
func stored(name string, end func(), files []file) *receiver {
	return &receiver{name: name, signal: delivery.Profiles, end: end, files: files, profile: func(res otlp.Resource, p *profiler.Profile) (delivery.Batch, error) {
		if res.HostName != redacted {
			res.HostName = nodeOf(&res) // where it runs, as a series' label
		}
		s, err := ukdbg.ProfileSeries(p, res)
		if err != nil {
			return delivery.Batch{}, err
		}
		return series.Batch(s), nil
	}}
}

// nodeOf is the host a guest runs on, as far as it may be told.
func nodeOf(res *otlp.Resource) string {
	for _, at := range res.Attrs {
		if at.Key == nodeName {
			return at.Str
		}
	}
	return ""
}
