// Package config reads the configuration of ukdbg's agent: one file in YAML,
// whose every key has a default.
//
//	c, err := config.Load("/etc/ukdbg/agent.yaml")
//	var bad config.Errors // every mistake with its line, not just the first
//
// Reading is strict: an unknown key, a key given twice, a value out of its range
// are errors that name the line and what is valid there. Secrets are never in the
// file, only the names of files that hold them, which others may not read.
//
// Anchors, aliases, tags and several documents are refused: a configuration that
// is read strictly says what it says where it says it. The reader of YAML is
// github.com/goccy/go-yaml's parser alone, which costs a start of ukdbg next to
// nothing; the usual library costs 0.4 ms, wanted or not.
//
// Specification: YAML 1.2.2; docs/agent.md lists the keys.
package config
