// Package config reads the configuration of ukdbg's agent: one file, in a small
// part of YAML, whose every key has a default.
//
//	c, err := config.Load("/etc/ukdbg/agent.yaml")
//	var bad config.Errors // every mistake with its line, not just the first
//
// Reading is strict: an unknown key, a key given twice, a value out of its range
// are errors that name the line and what is valid there. Secrets are never in the
// file, only the names of files that hold them, which others may not read.
//
// The part of YAML: mappings and lists by indentation, lists and mappings in
// brackets on one line, plain and quoted scalars, comments. What any YAML reader
// reads the same. Anchors, tags, several documents and block scalars are refused.
// A library for all of YAML costs each start of ukdbg 0.4 ms, wanted or not.
//
// Specification: YAML 1.2.2, sections 7.3 (flow scalars), 7.4 (flow collections)
// and 8.2 (block collections); docs/agent.md lists the keys.
package config
