// Package otlpprofiles writes a profile in OpenTelemetry's signal for profiles,
// which is in development: names and numbers of fields change between releases of
// the protocol, so all that knows them is here.
//
//	data := otlpprofiles.Encode(p, otlpprofiles.Options{Resource: r})
//	// a ProfilesData message, which has the form of an export request, too
//	reply, err := sender.Send(ctx, otlpprofiles.Batch(p, opt)) // an otlp.Sender
//
// Specification: opentelemetry/proto/profiles/v1development/profiles.proto as of
// protocol 1.9. The first entry of each table is its zero value, as the protocol
// wants; stacks and their frames are innermost first.
package otlpprofiles
