// Package events holds how agreement travels: the event, the deterministic fold of the
// log, the pending layer over it and the Replica loop that keeps one replica up to date.
package events

import (
	"context"
	"errors"
	"time"
)

// Errors of a Log that a caller decides by.
var (
	// ErrUnavailable: the log cannot be reached now; nothing was stored.
	ErrUnavailable = errors.New("the log is unavailable")
	// ErrUnknownOutcome: the message was sent and no answer came; it may be stored, now or later.
	ErrUnknownOutcome = errors.New("the log gave no answer: outcome unknown")
	// ErrRefused: the log answered that it did not store the message (full, too large …).
	ErrRefused = errors.New("the log refused the message")
	// ErrConflict: the expected last sequence of the subject did not hold; nothing was stored.
	ErrConflict = errors.New("the subject has changed meanwhile")
	// ErrNoMessage: there is no message at that sequence.
	ErrNoMessage = errors.New("no such message in the log")
	// ErrNoLog: the stream does not exist.
	ErrNoLog = errors.New("the stream does not exist")
)

// LogInfo tells which stream a log is and what it holds.
type LogInfo struct {
	// StreamID is the identity that the stream was created with.
	StreamID string
	// First and Last are sequences; an empty stream has First = Last+1.
	First, Last uint64
	// Bytes and MaxBytes are the stored size and its limit.
	Bytes, MaxBytes uint64
}

// Message is one stored message. Data is shared, never change it in place.
type Message struct {
	Seq     uint64
	Time    time.Time // the stream's own timestamp
	Subject string
	Data    []byte
}

// Outgoing is a message to be appended.
type Outgoing struct {
	Subject string
	// ID is the message id: a repeat within the dedupe window is stored once.
	ID   string
	Data []byte
	// ExpectLast, if not nil, is the sequence that must be the last of Subject (0: none).
	ExpectLast *uint64
}

// Log is the durable, totally ordered stream of messages. Implementations are safe for
// concurrent use.
type Log interface {
	// Open creates the stream if it is missing and returns what it is. ErrUnavailable.
	Open(ctx context.Context) (LogInfo, error)
	// Info asks for identity and bounds. ErrUnavailable, ErrNoLog.
	Info(ctx context.Context) (LogInfo, error)
	// Get reads one message. ErrUnavailable, ErrNoMessage, ErrNoLog.
	Get(ctx context.Context, seq uint64) (Message, error)
	// LastOf is the last sequence stored under subject, 0 for none. ErrUnavailable, ErrNoLog.
	LastOf(ctx context.Context, subject string) (uint64, error)
	// Append stores a message and returns its sequence once it is durable. It tries
	// several times with one ID and returns ErrUnavailable, ErrRefused, ErrConflict or
	// ErrUnknownOutcome.
	Append(ctx context.Context, m Outgoing) (uint64, error)
	// Follow delivers the messages from sequence `from` on, in order and without gaps,
	// one at a time, then the live ones. It never resumes a lost consumer by itself: it
	// returns an error as soon as the consumer was reset, deleted, missed heartbeats or
	// the connection was lost, or with handle's error, or ctx's. `from` = Last+1 is legal.
	Follow(ctx context.Context, from uint64, handle func(Message) error) error
}
