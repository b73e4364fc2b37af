package otlp

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

func TestConventions(t *testing.T) {
	if schemaURL != semconv.SchemaURL {
		t.Errorf("schema %s, semconv %s", schemaURL, semconv.SchemaURL)
	}
	for ours, theirs := range map[string]attribute.Key{
		keyServiceName: semconv.ServiceNameKey, keyServiceNamespace: semconv.ServiceNamespaceKey,
		keyServiceVersion: semconv.ServiceVersionKey, keyServiceInstanceID: semconv.ServiceInstanceIDKey,
		keyHostName: semconv.HostNameKey, keyHostID: semconv.HostIDKey, keyHostArch: semconv.HostArchKey,
		keyOSName: semconv.OSNameKey, keyOSVersion: semconv.OSVersionKey,
		keyEnvironment: semconv.DeploymentEnvironmentNameKey, keyImageHash: semconv.ProcessExecutableBuildIDHtlhashKey,
		keyThreadID: semconv.ThreadIDKey, keyThreadName: semconv.ThreadNameKey, keyCPU: semconv.CPULogicalNumberKey,
		keyFunction: semconv.CodeFunctionNameKey, keyFile: semconv.CodeFilePathKey, keyLine: semconv.CodeLineNumberKey,
		keyErrorType: semconv.ErrorTypeKey,
	} {
		if ours != string(theirs) {
			t.Errorf("%s is %s in semconv", ours, theirs)
		}
	}
	if theirs := semconv.ErrorTypeOther.Value.AsString(); errorTypeOther != theirs {
		t.Errorf("%s is %s in semconv", errorTypeOther, theirs)
	}
}
