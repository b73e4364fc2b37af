// Package packet is the codec of the GDB Remote Serial Protocol: bytes to
// packets and back. It does no I/O, so that a client, a stub under test and a
// proxy share it.
//
// Reader is a state machine fed with whatever bytes arrived; Append encodes a
// packet's payload onto a buffer.
//
//	for len(in) > 0 {
//		tok, n := r.Next(in)
//		in = in[n:]
//		switch tok.Kind {
//		case packet.Data:
//			handle(tok.Payload)
//		}
//	}
//
// Everything read is taken to be hostile: a packet longer than Reader.Max is
// told as TooLong and never stored.
//
// Specification: GDB manual, appendix E "Remote Protocol", section E.1
// "Overview" (framing, checksum, escapes, run-length encoding) and E.12
// "Notification Packets".
package packet
