package config

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxSecret bounds a file with a secret, in bytes.
const maxSecret = 64 << 10

// ReadSecret returns the first line of a file that only its owner may read.
func ReadSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !st.Mode().IsRegular() {
		return "", fmt.Errorf("%s holds a secret and is no regular file", path)
	}
	if others := st.Mode().Perm() & 0o077; others != 0 && !(others == 0o040 && isCredential(path)) {
		return "", fmt.Errorf("%s holds a secret and others may read it (mode %04o): chmod 600 %s", path, st.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(b), "\n")
	first = strings.TrimSpace(first)
	if first == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return first, nil
}

// isCredential reports whether a file is one of systemd's credentials
// (LoadCredential=). Nobody but the service may enter their folder; a list of who
// may read them shows as a right of the group.
func isCredential(path string) bool {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	return dir != "" && filepath.Dir(path) == filepath.Clean(dir)
}

// secretFiles are all files with secrets that c names.
func (c *Config) secretFiles() []string {
	out := []string{c.Listen.BearerFile, c.Listen.KeyFile}
	for _, o := range c.Export.OTLP {
		out = append(out, o.BearerFile)
	}
	for _, o := range c.Export.Pyroscope {
		out = append(out, o.BearerFile, o.PasswordFile)
	}
	for _, o := range c.Export.Parca {
		out = append(out, o.BearerFile)
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// Load reads a file, and looks whether the files with secrets that it names can be
// read by nobody else.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.CheckSecrets(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// CheckSecrets tries every file with a secret.
func (c *Config) CheckSecrets() error {
	var errs []error
	for _, s := range c.secretFiles() {
		if _, err := ReadSecret(s); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func checkURL(where, text string, schemes ...string) Errors {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme):
		return Errors{bad(0, "%s: %q is none of %s://HOST:PORT", where, short(text), strings.Join(schemes, "://…, "))}
	case u.User != nil:
		return Errors{bad(0, "%s: a password is not for this file, name one with bearer_file or password_file", where)}
	}
	return nil
}
