package asserts

import (
	"bytes"
	"testing"
)

// BenchmarkScanner reads console text as it mostly is: no report in it.
func BenchmarkScanner(b *testing.B) {
	line := []byte("[    0.101923] Info: <init> [libukallocpool] <pool.c @  390> request 17 served in 20 us from 10.0.0.3\r\n")
	plain := []byte("10.0.0.3 - - [22/Nov/2026:01:00:00 +0000] \"GET / HTTP/1.1\" 200 612 \"-\" \"curl/7.88.1\"\r\n")
	log := bytes.Repeat(append(line, plain...), 5000)
	log = append(log, readLog(b, "0.17-x86-ubsan-then-pf")...)
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		if n := len(scanAll(b, log)); n != 1 {
			b.Fatalf("%d faults", n)
		}
	}
}
