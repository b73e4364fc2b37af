// Package monitortest is a VMM's monitor for tests: a unix socket that serves one
// client at a time, as QEMU does, and says what the test has it say.
//
//	path := monitortest.Listen(t, func(c net.Conn) { io.WriteString(c, greeting) })
package monitortest
