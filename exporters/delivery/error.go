package delivery

import (
	"errors"
	"fmt"
)

// ErrDropped says that a batch was not kept and will not be sent.
var ErrDropped = errors.New("the batch was dropped")

// ErrClosed says that a queue takes no more.
var ErrClosed = errors.New("the queue is closed")

// Error says that batches could not be delivered.
type Error struct {
	// Receiver is where they were sent, Attempts how often the last one was.
	Receiver string
	Attempts int
	// Passing says that the last failure was a passing one.
	Passing bool
	Err     error
	// Waiting is how many batches are left in the folder Spool; they are sent the
	// next time it is used.
	Waiting int
	Spool   string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("sending to %s: ", e.Receiver)
	if e.Passing {
		text += fmt.Sprintf("gave up after %d attempts: ", e.Attempts)
	}
	text += e.Err.Error()
	if e.Waiting > 0 {
		text += fmt.Sprintf("; %d batches wait in %s and are sent the next time", e.Waiting, e.Spool)
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }
