// Package inimage holds the tests of whole sessions over the stub inside the
// guest, as bare metal is reached: a serial line or TCP, no request to stop, no
// detach, breakpoints patched into text.
package inimage
