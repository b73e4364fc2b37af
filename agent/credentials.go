package agent

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"slices"

	"github.com/ukdbg/ukdbg/agent/config"
	"github.com/ukdbg/ukdbg/agent/renewed"
	"github.com/ukdbg/ukdbg/exporters/transport"
	"github.com/ukdbg/ukdbg/internal/inode"
)

// file is a certificate or a token in force, which its files may renew: a
// *renewed.Value.
type file interface {
	News() string
	Failing() error
}

// useFiles notes which files are in force.
func (a *agent) useFiles() {
	var all []file
	if a.pages != nil {
		all = append(all, a.pages.files...)
	}
	for _, r := range a.out.receivers {
		for _, f := range r.files {
			if !slices.Contains(all, f) { // one for all signals
				all = append(all, f)
			}
		}
	}
	a.fleet.mu.Lock()
	defer a.fleet.mu.Unlock()
	a.fleet.files = all
}

// renew looks at the files and has the log tell what became of them. They are in force
// as soon as they are used.
func (a *agent) renew() {
	for _, f := range a.fleet.files { // the manager alone changes it
		news := f.News()
		if news == "" {
			continue
		}
		a.log.printf("%s", news)
		if f.Failing() == nil {
			a.fleet.mu.Lock()
			a.fleet.renewed++
			a.fleet.mu.Unlock()
			for _, r := range a.out.receivers {
				if slices.Contains(r.files, f) {
					r.queue.Retry()
				}
			}
		}
	}
}

// failing counts the files that cannot be read as they are now.
func failing(files []file) (n int) {
	for _, f := range files {
		if f.Failing() != nil {
			n++
		}
	}
	return n
}

// credentials gives an endpoint the certificates it trusts and the secret it shows, ""
// for none, as they are in their files at each request. header makes the Authorization
// header of the secret.
func credentials(ep *transport.Endpoint, caFile, secretFile string, header func(string) string) (files []file, err error) {
	if caFile != "" {
		roots, err := renewed.Read(func() (*tls.Config, error) { return trust(caFile) }, caFile)
		if err != nil {
			return nil, err
		}
		ep.RenewTLS = func() *tls.Config {
			c, _ := roots.Get() // it was read once
			return c
		}
		files = append(files, roots)
	}
	if secretFile != "" {
		// A token that is not there yet is told with each request, and may come.
		secret, _ := renewed.Read(func() (string, error) { return config.ReadSecret(secretFile) }, secretFile)
		ep.Authorize = func() (string, error) {
			s, err := secret.Get()
			if err != nil {
				return "", err
			}
			return header(s), nil
		}
		files = append(files, secret)
	}
	return files, nil
}

// maxCerts bounds a file of certificates, in bytes.
const maxCerts = 4 << 20

// trust makes a TLS configuration that trusts a file's certificates alone.
func trust(path string) (*tls.Config, error) {
	pem, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", path)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// certificate reads a certificate and its key, which nobody else may read.
func certificate(certFile, keyFile string) (*tls.Certificate, error) {
	if _, err := config.ReadSecret(keyFile); err != nil {
		return nil, err
	}
	cert, err := readPEM(certFile)
	if err != nil {
		return nil, err
	}
	key, err := readPEM(keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	return &pair, err
}

// readPEM reads a file of certificates or a key.
func readPEM(path string) ([]byte, error) {
	f, _, err := inode.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxCerts))
}
