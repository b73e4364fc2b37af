package ukdbg

import (
	"context"
	"os"
	"strings"

	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/tracebuf/stream"
)

// Resource tells receivers of telemetry which guest the session is with; name is
// what people call it, "" for its image's name.
func (s *Session) Resource(ctx context.Context, name string) otlp.Resource {
	r := resourceOf("", s.arch.Name)
	if r.ServiceName = name; name == "" {
		r.ServiceName = ImageName(s.opt.Image, s.spec.String())
	}
	r.InstanceID, r.ImageHash = s.vmmIdentity(ctx), s.ImageHash()
	if kernel, version := s.KernelVersion(); kernel != "" {
		r.OSName, r.OSVersion = strings.ToLower(kernel), version
	}
	return r
}

// TraceResource is the Resource of a guest whose records are in a file; nil is one
// that is not known.
func TraceResource(g *stream.Guest) otlp.Resource {
	if g == nil {
		return resourceOf("", "")
	}
	r := resourceOf(g.Kernel, g.Arch)
	r.ServiceName, r.ImageHash, r.InstanceID = g.Label(), g.ImageHash, g.Instance
	return r
}

// resourceOf is the part that is told alike of all guests: where it was looked at
// from, its kernel ("Unikraft 0.17.0") and its architecture.
func resourceOf(kernel, arch string) otlp.Resource {
	r := otlp.Resource{OSName: "unikraft", HostArch: map[string]string{"x86_64": "amd64", "arm64": "arm64"}[arch]}
	if host, err := os.Hostname(); err == nil {
		r.HostName = host
	}
	if name, version, ok := strings.Cut(kernel, " "); ok {
		r.OSName, r.OSVersion = strings.ToLower(name), version
	}
	return r
}
