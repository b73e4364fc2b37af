package otlp

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/ukdbg/ukdbg/exporters"
)

// Resource says which guest the spans come from. A field that is "" is left
// out: what is not known is not told.
type Resource struct {
	// ServiceName is what the guest does, by default its image's name.
	// Receivers demand one; without it "unknown_service:unikernel" is sent, as
	// the conventions ask.
	ServiceName, ServiceNamespace, ServiceVersion string
	// InstanceID tells this run of the guest from every other: the VM's UUID
	// and, after a restore, its generation. Identifiers are derived from it.
	InstanceID string
	// HostName and HostID name the machine the guest is, HostArch its
	// processor in the conventions' words: amd64, arm64.
	HostName, HostID, HostArch string
	// OSName is the kernel ("unikraft"), OSVersion its version.
	OSName, OSVersion string
	// Environment is the deployment environment, such as "production".
	Environment string
	// ImageHash is the htlhash build id of the image.
	ImageHash string
	// Attrs are further attributes.
	Attrs []exporters.Attr
}

// append appends the fields of a Resource message.
func (r Resource) append(b []byte) []byte {
	name := r.ServiceName
	if name == "" {
		name = "unknown_service:unikernel"
	}
	for _, kv := range []struct {
		key   attribute.Key
		value string
	}{
		{semconv.ServiceNameKey, name},
		{semconv.ServiceNamespaceKey, r.ServiceNamespace},
		{semconv.ServiceVersionKey, r.ServiceVersion},
		{semconv.ServiceInstanceIDKey, r.InstanceID},
		{semconv.HostNameKey, r.HostName},
		{semconv.HostIDKey, r.HostID},
		{semconv.HostArchKey, r.HostArch},
		{semconv.OSNameKey, r.OSName},
		{semconv.OSVersionKey, r.OSVersion},
		{semconv.DeploymentEnvironmentNameKey, r.Environment},
		{semconv.ProcessExecutableBuildIDHtlhashKey, r.ImageHash},
	} {
		if kv.value != "" {
			b = appendString(b, resourceAttributes, string(kv.key), kv.value)
		}
	}
	return appendAttrs(b, resourceAttributes, r.Attrs)
}

// valid replaces what is no UTF-8: guest bytes may be anything, protobuf
// strings may not.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
