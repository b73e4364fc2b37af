package otlp

// Names of the OpenTelemetry semantic conventions that are used, as the package
// go.opentelemetry.io/otel/semconv has them: TestConventions compares. That
// package is not linked, since it and what it needs are initialised at each
// start of ukdbg.
const (
	schemaURL = "https://opentelemetry.io/schemas/1.43.0"

	keyServiceName       = "service.name"
	keyServiceNamespace  = "service.namespace"
	keyServiceVersion    = "service.version"
	keyServiceInstanceID = "service.instance.id"
	keyHostName          = "host.name"
	keyHostID            = "host.id"
	keyHostArch          = "host.arch"
	keyOSName            = "os.name"
	keyOSVersion         = "os.version"
	keyEnvironment       = "deployment.environment.name"
	keyImageHash         = "process.executable.build_id.htlhash"
	keyThreadID          = "thread.id"
	keyThreadName        = "thread.name"
	keyCPU               = "cpu.logical_number"
	keyFunction          = "code.function.name"
	keyFile              = "code.file.path"
	keyLine              = "code.line.number"
	keyErrorType         = "error.type"
	errorTypeOther       = "_OTHER"
)
