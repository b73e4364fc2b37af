package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
)

// isTLSError reports failures of a TLS handshake, which another attempt will
// not cure.
func isTLSError(err error) bool {
	var (
		verify   *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		wantHTTP = errors.Is(err, http.ErrSchemeMismatch)
	)
	return wantHTTP || errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &name) ||
		errors.As(err, &invalid) || errors.As(err, &record) || errors.As(err, &alert) ||
		// net/http makes this one with fmt.Errorf.
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}
