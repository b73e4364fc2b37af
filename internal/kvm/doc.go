// Package kvm holds the tests of whole sessions under KVM, where a breakpoint of
// QEMU's stub is a byte written into the guest's memory. Where /dev/kvm does not
// open, or does not boot the guest, they are reported as not run.
package kvm
