// Package faultmatrix holds the tests that every fault the guest can commit is
// explained alike by all who can tell of it: a session on the stopped guest, the
// machine alone without the guest's words, and the console log with and without
// the image.
package faultmatrix
