package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ukdbg/ukdbg"
)

// exportFormsHelp lists the formats for a verb's help.
func exportFormsHelp() string {
	var b strings.Builder
	b.WriteString("Formats (--format, or by the end of the file's name):\n")
	for _, f := range ukdbg.ExportForms() {
		fmt.Fprintf(&b, "  %-10s %s (%s)\n", f.Name, f.About, strings.Join(f.Suffixes, " "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// addPush adds what says where a receiver is and how it is reached.
func addPush(cmd *cobra.Command, p *ukdbg.PushOptions, to string) {
	fl := cmd.Flags()
	fl.StringVar(&p.URL, "to", "", to)
	fl.StringToStringVar(&p.Headers, "header", nil, "NAME=VALUE to send along")
	fl.StringVar(&p.TokenFile, "token-file", "", "a file with a bearer token to send along")
	fl.StringVar(&p.Service, "service", "", "service.name, by default the image's name")
	fl.DurationVar(&p.Patience, "patience", 0, "how long to wait for a receiver that is away (1m)")
	fl.StringVar(&p.Spool, "spool", "", "a folder that keeps what could not be sent")
	fl.Int64Var(&p.SpoolBytes, "spool-bytes", 0, "the most the folder holds (1 GiB)")
}

// tlsFlags are the ways to trust a receiver and to be trusted by it.
type tlsFlags struct {
	ca, cert, key, name string
	insecure            bool
}

func (f *tlsFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.ca, "tls-ca", "", "trust the certificates in this PEM file, not the system's")
	fl.StringVar(&f.cert, "tls-cert", "", "our certificate, PEM")
	fl.StringVar(&f.key, "tls-key", "", "its key, PEM")
	fl.StringVar(&f.name, "tls-server-name", "", "the name the receiver's certificate must have")
	fl.BoolVar(&f.insecure, "tls-insecure", false, "do not check the receiver's certificate")
}

// config makes a TLS configuration, nil if no flag asks for one.
func (f *tlsFlags) config() (*tls.Config, error) {
	if *f == (tlsFlags{}) {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.name, InsecureSkipVerify: f.insecure}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, usageError{fmt.Errorf("--tls-ca: %w", err)}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usageError{fmt.Errorf("--tls-ca: %s has no certificate in PEM", f.ca)}
		}
	}
	if (f.cert == "") != (f.key == "") {
		return nil, usageError{errors.New("--tls-cert and --tls-key go together")}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, usageError{fmt.Errorf("--tls-cert: %w", err)}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
