// Package delivery brings batches of telemetry to a receiver and says what
// became of each.
//
// A Queue takes batches at any time and sends them, oldest first, from one
// goroutine of its own:
//
//	q := delivery.New(delivery.Options{Name: "tempo", Sender: sender, Spool: spool})
//	err := q.Put(ctx, delivery.Batch{Signal: delivery.Traces, Items: n, Payload: request})
//	...
//	err = q.Close(ctx) // sends what it can until ctx ends
//
// Push sends a sequence once and waits for it:
//
//	stats, err := delivery.Push(ctx, batches, delivery.PushOptions{Options: o, Patience: time.Minute})
//
// What waits goes in as few requests as the Sender allows (Joiner): two hundred
// guests do not make two hundred requests, and a receiver that was away is caught up
// with soon.
//
// Delivery is at least once. With a spool a batch is on disk before it is sent
// and until the receiver has taken it, so that neither a receiver that is away nor
// the end of this process loses it; it is then sent again as it was, with the
// identifiers in it. What the receiver rejects of a batch it took (a partial
// success) is counted and not sent again. What cannot be kept is counted by its
// reason; nothing is dropped silently.
//
// A Sender sorts its failures for that: *Passing is tried again, after the time
// the receiver asked for if it did; *Refused is a batch that will never be taken,
// which is set aside; any other error means that the receiver takes none as
// things are (a wrong address, credentials): a Queue tries again in long
// intervals, Push gives up.
//
// Use one Queue, with a spool of its own, for each receiver and signal that may
// fail on its own.
package delivery
