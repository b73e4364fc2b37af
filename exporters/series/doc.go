// Package series carries profiles to profile stores: what Pyroscope and Parca want
// to know of a profile beside its bytes.
//
//	s := series.Series{Name: series.Name(p.Kind), Service: "shop", Labels: labels, From: p.Start, Until: end, Pprof: data}
//	err := queue.Put(ctx, series.Batch(s))
//
// A store keeps one series of profiles for each set of labels, so these must have
// few values: what runs (Service), and under the names LabelInstance, LabelHost
// and LabelImage which guest, where, from what. A thread is a label of the samples
// in the profile, not of the series.
//
// The payload of a batch is a protobuf message of our own, which the senders turn
// into the request of their store; several payloads one after another are one.
package series
