// Package prometheus writes metrics in Prometheus' text format, for a scrape.
//
//	w.Header().Set("Content-Type", prometheus.ContentType)
//	err := prometheus.Write(w, metrics)
//
// Names, units and labels are turned as OpenTelemetry's rules have it:
// "ukdbg.guest.stopped" in "s", a counter, is ukdbg_guest_stopped_seconds_total.
//
// Specifications: Prometheus "Text-based format" 0.0.4; OpenTelemetry "Prometheus and
// OpenMetrics Compatibility", OTLP metric points to Prometheus.
package prometheus
