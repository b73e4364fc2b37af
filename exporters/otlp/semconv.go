package otlp

import semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

// Names of the OpenTelemetry semantic conventions that are used.
const (
	schemaURL = semconv.SchemaURL

	keyServiceName       = string(semconv.ServiceNameKey)
	keyServiceNamespace  = string(semconv.ServiceNamespaceKey)
	keyServiceVersion    = string(semconv.ServiceVersionKey)
	keyServiceInstanceID = string(semconv.ServiceInstanceIDKey)
	keyHostName          = string(semconv.HostNameKey)
	keyHostID            = string(semconv.HostIDKey)
	keyHostArch          = string(semconv.HostArchKey)
	keyOSName            = string(semconv.OSNameKey)
	keyOSVersion         = string(semconv.OSVersionKey)
	keyEnvironment       = string(semconv.DeploymentEnvironmentNameKey)
	keyImageHash         = string(semconv.ProcessExecutableBuildIDHtlhashKey)
	keyThreadID          = string(semconv.ThreadIDKey)
	keyThreadName        = string(semconv.ThreadNameKey)
	keyCPU               = string(semconv.CPULogicalNumberKey)
	keyFunction          = string(semconv.CodeFunctionNameKey)
	keyFile              = string(semconv.CodeFilePathKey)
	keyLine              = string(semconv.CodeLineNumberKey)
	keyErrorType         = string(semconv.ErrorTypeKey)
	keyRecordID          = string(semconv.LogRecordUIDKey)

	// The value of semconv.ErrorTypeOther.
	errorTypeOther = "_OTHER"
)
