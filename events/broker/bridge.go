package broker

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

var _ server.Logger = (*bridge)(nil)

// bridge writes the server's log to ours and keeps the first reason of a failed start.
type bridge struct {
	log   zerolog.Logger
	fatal chan string
	told  throttle
}

func newBridge(log zerolog.Logger) *bridge { return &bridge{log: log, fatal: make(chan string, 1)} }

const message = "nats server"

// text is one line: what a client sent may be part of it.
func text(format string, v []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, v...))
}

// Noticef is debug: the server's notices are about its own start and stop.
func (b *bridge) Noticef(format string, v ...any) {
	b.log.Debug().Str("text", text(format, v)).Msg(message)
}

func (b *bridge) Warnf(format string, v ...any) {
	b.tell(zerolog.WarnLevel, text(format, v))
}

func (b *bridge) Errorf(format string, v ...any) {
	b.tell(zerolog.ErrorLevel, text(format, v))
}

// tell leaves out what was told lately: who tries to connect in vain does so every second.
func (b *bridge) tell(level zerolog.Level, text string) {
	omitted, now := b.told.admit(text)
	if !now {
		return
	}
	e := b.log.WithLevel(level).Str("text", text)
	if omitted > 0 {
		e = e.Int("omitted", omitted)
	}
	e.Msg(message)
}

func (b *bridge) Debugf(format string, v ...any) {
	b.log.Trace().Str("text", text(format, v)).Msg(message)
}

func (b *bridge) Tracef(format string, v ...any) {
	b.log.Trace().Str("text", text(format, v)).Msg(message)
}

// Fatalf never ends the process: whoever started the server gets the error.
func (b *bridge) Fatalf(format string, v ...any) {
	s := text(format, v)
	b.log.Error().Str("text", s).Msg(message)
	select {
	case b.fatal <- s:
	default:
	}
}
