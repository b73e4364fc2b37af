package guesttest

import (
	"os"
	"testing"
)

// NeedKVM reports a test as not run where this machine has no KVM for it.
func NeedKVM(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("not run: no KVM here (%v)", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
