package otlp

import (
	"testing"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

func TestErrorTypeOther(t *testing.T) {
	if theirs := semconv.ErrorTypeOther.Value.AsString(); errorTypeOther != theirs {
		t.Errorf("%s is %s in semconv", errorTypeOther, theirs)
	}
}
