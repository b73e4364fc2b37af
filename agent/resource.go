package agent

import (
	"bufio"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/ukdbg/ukdbg"
	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/exporters"
	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/profiler"
)

// redacted is what stands for a value that may not leave.
const redacted = "redacted"

// nodeName is the attribute with the name of the guest's host.
const nodeName = "ukdbg.node.name"

// otelArch is OpenTelemetry's word for an architecture.
func otelArch(name string) string {
	if name == "x86_64" {
		return "amd64"
	}
	return name
}

// about is the guest as receivers know it. The VMM's process number is not its.
func (g *guest) about(c *config.Config) otlp.Resource {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := otlp.Resource{
		ServiceName: label(&g.host), ServiceNamespace: c.Resource.Namespace,
		InstanceID: runName(g.instance, g.generation),
		HostName:   label(&g.host), HostID: g.proc.UUID, HostArch: otelArch(g.proc.Arch),
		OSName: "unikraft", OSVersion: g.osVersion, Environment: c.Resource.Environment, ImageHash: g.image.Hash,
	}
	if g.host.Name == "" && g.imagePath != "" {
		r.ServiceName = ukdbg.ImageName(g.imagePath, r.ServiceName)
	}
	for _, k := range sortedKeys(c.Resource.Attributes) {
		r.Attrs = append(r.Attrs, exporters.String(k, c.Resource.Attributes[k]))
	}
	r.Attrs = append(r.Attrs, g.placed...)
	if node := hostname(); node != "" {
		r.Attrs = append(r.Attrs, exporters.String(nodeName, node))
	}
	if g.imagePath == "" {
		r.Attrs = append(r.Attrs, exporters.String("ukdbg.image", "unknown"))
		if r.ImageHash != "" {
			r.Attrs = append(r.Attrs, exporters.String("ukdbg.image.hash", r.ImageHash))
		}
		r.ImageHash = ""
	}
	redactResource(&r, c.Redact)
	return r
}

// resource is the agent's own.
func (a *agent) resource() otlp.Resource {
	r := otlp.Resource{
		ServiceName: "ukdbg-agent", ServiceNamespace: a.cfg.Resource.Namespace, ServiceVersion: a.opt.Version,
		InstanceID: a.id, HostName: hostname(), HostArch: otelArch(map[string]string{"amd64": "x86_64"}[runtime.GOARCH]),
		OSName: runtime.GOOS, Environment: a.cfg.Resource.Environment,
	}
	if r.HostArch == "" {
		r.HostArch = runtime.GOARCH
	}
	for _, k := range sortedKeys(a.cfg.Resource.Attributes) {
		r.Attrs = append(r.Attrs, exporters.String(k, a.cfg.Resource.Attributes[k]))
	}
	redactResource(&r, a.cfg.Redact)
	return r
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// fits reports whether one of globs matches a name. A name is no path: "*" fits one
// with slashes too.
func fits(globs []string, name string) bool {
	name = strings.ReplaceAll(name, "/", "\x00")
	return slices.ContainsFunc(globs, func(glob string) bool {
		ok, err := path.Match(strings.ReplaceAll(glob, "/", "\x00"), name)
		return ok && err == nil
	})
}

// hides reports whether the values of an attribute may not leave.
func hides(globs []string, key string) bool { return fits(globs, key) }

// redactResource hides values of a resource. What receivers tell guests apart by
// stays.
func redactResource(r *otlp.Resource, globs []string) {
	if len(globs) == 0 {
		return
	}
	for _, f := range []struct {
		key, label string // label is what stores of profiles call it
		v          *string
	}{
		{"service.name", "service_name", &r.ServiceName}, {"service.namespace", "namespace", &r.ServiceNamespace}, {"host.name", "host", &r.HostName},
		{"host.id", "", &r.HostID}, {"host.arch", "", &r.HostArch}, {"os.name", "", &r.OSName}, {"os.version", "", &r.OSVersion},
		{"process.executable.build_id.htlhash", "image", &r.ImageHash}, {"deployment.environment.name", "environment", &r.Environment},
	} {
		if *f.v != "" && (hides(globs, f.key) || f.label != "" && hides(globs, f.label)) {
			*f.v = redacted
		}
	}
	r.Attrs = redactAttrs(r.Attrs, globs)
}

func redactAttrs(attrs []exporters.Attr, globs []string) []exporters.Attr {
	for i := range attrs {
		if hides(globs, attrs[i].Key) {
			attrs[i] = exporters.String(attrs[i].Key, redacted)
		}
	}
	return attrs
}

// redactSpan leaves of a span names and numbers: texts of the guest's memory stay.
func redactSpan(s *exporters.Span, globs []string) {
	kept := s.Attrs[:0]
	for _, at := range s.Attrs {
		if at.Kind != exporters.KindString {
			kept = append(kept, at)
		}
	}
	s.Attrs = redactAttrs(kept, globs)
	// What the guest printed of an error may have texts in it.
	s.ErrText = ""
	if s.Thread.Name != "" && hides(globs, "thread.name") {
		s.Thread.Name = redacted
	}
}

// redactProfile hides labels of a profile's samples; p itself is not changed.
func redactProfile(p *profiler.Profile, globs []string) *profiler.Profile {
	thread, state := hides(globs, "thread.name") || hides(globs, "thread"), hides(globs, "state")
	if !thread && !state {
		return p
	}
	out := *p
	out.Samples = slices.Clone(p.Samples)
	for i := range out.Samples {
		s := &out.Samples[i]
		if thread && s.Thread.Name != "" {
			s.Thread.Name = redacted
		}
		if state && s.State != "" {
			s.State = redacted
		}
	}
	return &out
}

// maxCgroup bounds a process's cgroup file, in bytes.
const maxCgroup = 64 << 10

// placement tells where a VMM runs by its control groups: a container, a pod.
func placement(proc string, pid int) []exporters.Attr {
	f, err := os.Open(filepath.Join(proc, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return nil
	}
	defer f.Close()
	out := parseCgroup(io.LimitReader(f, maxCgroup))
	for _, at := range out {
		if at.Key == podUID {
			out = append(out, podNames(proc, at.Str)...)
		}
	}
	return out
}

const (
	podUID = "k8s.pod.uid"
	// maxPods bounds the pods of a node that are looked through.
	maxPods = 4096
)

// podNames tells a pod's name and namespace by the folder that kubelet keeps for its
// logs, NAMESPACE_NAME_UID in /var/log/pods (BuildPodLogsDirectory in Kubernetes'
// pkg/kubelet/kuberuntime). From within a container the host's is reached through its
// first process.
func podNames(proc, uid string) []exporters.Attr {
	for _, dir := range []string{filepath.Join(proc, "1/root/var/log/pods"), "/var/log/pods"} {
		d, err := os.Open(dir)
		if err != nil {
			continue
		}
		names, _ := d.Readdirnames(maxPods)
		d.Close()
		for _, n := range names {
			rest, ok := strings.CutSuffix(n, "_"+uid)
			namespace, name, two := strings.Cut(rest, "_")
			if ok && two && namespace != "" && name != "" && !strings.Contains(name, "_") {
				return []exporters.Attr{exporters.String("k8s.namespace.name", namespace), exporters.String("k8s.pod.name", name)}
			}
		}
	}
	return nil
}

// parseCgroup reads cgroups(7)'s /proc/PID/cgroup. Containers are known by the 64
// hexadecimal digits at the end of the path, pods by kubelet's names: podUID or
// kubepods-…-podUID.slice, with "_" for "-" there.
func parseCgroup(r io.Reader) []exporters.Attr {
	var container, pod string
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		_, text, ok := strings.Cut(sc.Text(), ":")
		if !ok {
			continue
		}
		_, text, _ = strings.Cut(text, ":")
		for part := range strings.SplitSeq(text, "/") {
			part = strings.TrimSuffix(strings.TrimSuffix(part, ".scope"), ".slice")
			if i := strings.LastIndexAny(part, "-:"); len(part) >= 64 && isHex(part[len(part)-64:]) && (i == len(part)-65 || len(part) == 64) {
				container = part[len(part)-64:]
			}
			if i := strings.LastIndex(part, "pod"); i >= 0 && (i == 0 || part[i-1] == '-') {
				if uid := strings.ReplaceAll(part[i+3:], "_", "-"); isUUID(uid) {
					pod = uid
				}
			}
		}
	}
	var out []exporters.Attr
	if container != "" {
		out = append(out, exporters.String("container.id", container))
	}
	if pod != "" {
		out = append(out, exporters.String(podUID, pod))
	}
	return out
}

func isHex(s string) bool {
	for _, c := range s {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return s != ""
}

func isUUID(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && isHex(strings.ReplaceAll(s, "-", ""))
}
