// Package exporttest makes a trace of every shape for the tests of the exporters,
// and runs the programs that read their files back: DuckDB, babeltrace2 and a
// headless Chromium. What is missing is an error, not a skip: "make tools"
// installs it.
package exporttest
