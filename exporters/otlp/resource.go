package otlp

import (
	"strings"

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

// Append appends the fields of a Resource message to b.
func (r Resource) Append(b []byte) []byte {
	name := r.ServiceName
	if name == "" {
		name = "unknown_service:unikernel"
	}
	for _, kv := range []struct {
		key, value string
	}{
		{keyServiceName, name},
		{keyServiceNamespace, r.ServiceNamespace},
		{keyServiceVersion, r.ServiceVersion},
		{keyServiceInstanceID, r.InstanceID},
		{keyHostName, r.HostName},
		{keyHostID, r.HostID},
		{keyHostArch, r.HostArch},
		{keyOSName, r.OSName},
		{keyOSVersion, r.OSVersion},
		{keyEnvironment, r.Environment},
		{keyImageHash, r.ImageHash},
	} {
		if kv.value != "" {
			b = appendString(b, resourceAttributes, kv.key, kv.value)
		}
	}
	return appendAttrs(b, resourceAttributes, r.Attrs)
}

// valid replaces what is no UTF-8: guest bytes may be anything, protobuf
// strings may not.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
