// Package soak holds the test of the agent as a whole: real guests that serve,
// die and are started again, an agent and a real OpenTelemetry collector that are
// killed and started again, and Debian's Prometheus that scrapes the agent. Every
// fault report on a console must have come to the collector, and every request
// that was traced while the agent lived.
//
// In CI it takes half a minute with three guests; "make soak" sets UKDBG_SOAK,
// which makes it ten minutes with ten.
package soak
