package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Debian's packaged crates, and of them the one whose example is the peer.
const (
	crates    = "/usr/share/cargo/registry"
	addr2line = "addr2line-0.19.0"
)

const rustManifest = `[package]
name = "addr2line-example"
version = "0.0.0"
edition = "2018"

[[bin]]
name = "addr2line"
path = "` + crates + "/" + addr2line + `/examples/addr2line.rs"

[dependencies]
addr2line = "0.19"
clap = "3.1.6"
fallible-iterator = "0.2"
gimli = "0.27"
memmap2 = "0.5"
object = "0.30"
typed-arena = "2"
`

const rustSource = `[source.crates-io]
replace-with = "debian"

[source.debian]
directory = "` + crates + `"
`

// rustAddr2line builds the example of Debian's addr2line crate from packaged
// sources alone, once, and returns the program. It takes some minutes.
func rustAddr2line() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "ukdbg", "bench", addr2line)
	program := filepath.Join(dir, "target", "release", "addr2line")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(filepath.Join(dir, ".cargo"), 0o755); err != nil {
		return "", err
	}
	for name, text := range map[string]string{"Cargo.toml": rustManifest, ".cargo/config.toml": rustSource} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("cargo", "build", "--release", "--offline")
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Rust's addr2line: %w: %s", err, text)
	}
	return program, nil
}
