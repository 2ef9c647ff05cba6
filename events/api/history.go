package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/crdt/service"
	"sluice/events"
)

// writePatience is how long a reader may take nothing before its stream is cut.
const writePatience = 30 * time.Second

// events answers the events of services, or of what is over them, as JSON lines or, by Accept, as server-sent events.
func (s *Server) events(w http.ResponseWriter, r *http.Request, _ caller) error {
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	ctx, cancel := s.untilStop(r.Context())
	defer cancel()
	out := &eventWriter{w: w, rc: http.NewResponseController(w), sse: wantsSSE(r), flush: query.Follow}
	if query.Follow {
		if err := out.begin(); err != nil {
			return nil
		}
	}
	rest := s.forgotten(query)
	err = s.cfg.History.Records(ctx, query, func(r events.Record) error {
		rest.see(r)
		return out.write(r)
	})
	if err == nil && !rest.told {
		err = out.write(rest.record())
	}
	switch {
	case err == nil && !out.begun:
		return out.begin()
	case err == nil, ctx.Err() != nil:
		return nil
	case !out.begun:
		return err
	}
	// The status is long sent: what was read goes out, then the reason, and cutting the connection
	// says "not complete" to whoever does not know that.
	s.log.Warn().Err(err).Msg("event stream ended early")
	out.fail(err)
	panic(http.ErrAbortHandler)
}

// untilStop ends with the request or when the server stops.
func (s *Server) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-done }
}

func parseQuery(r *http.Request) (events.Query, error) {
	out := events.Query{Kind: "service"}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return out, badParam("query", err.Error(), "percent-encode the values")
	}
	key := service.Key
	switch kind := q.Get("kind"); kind {
	case "", "service":
	case events.KindRejected:
		out.Kind = kind
	case "overlay":
		out.Kind, key = kind, service.OverlayKey
	default:
		return out, badParam("kind", "is no kind of events", "use service, overlay or rejected")
	}
	after := q.Get("after")
	// A browser that reconnects tells so what it has seen.
	if id := r.Header.Get("Last-Event-ID"); id != "" && wantsSSE(r) {
		after = id
	}
	if after != "" {
		if out.After, err = strconv.ParseUint(after, 10, 64); err != nil {
			return out, badParam("after", "is not a sequence", "use a number from 0 on")
		}
	}
	if name := q.Get("service"); name != "" {
		if err := service.CheckName(name); err != nil {
			return out, err
		}
		out.Key = key(name)
	}
	if text := q.Get("conflicts"); text != "" {
		if out.Conflicts, err = strconv.ParseBool(text); err != nil {
			return out, badParam("conflicts", "is neither true nor false", "use conflicts=true")
		}
	}
	if text := q.Get("follow"); text != "" {
		if out.Follow, err = strconv.ParseBool(text); err != nil {
			return out, badParam("follow", "is neither true nor false", "use follow=true")
		}
	}
	return out, nil
}

func wantsSSE(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// eventWriter writes records one by one.
type eventWriter struct {
	w          http.ResponseWriter
	rc         *http.ResponseController
	sse, flush bool
	begun      bool
}

func (o *eventWriter) begin() error {
	o.begun = true
	kind := "application/x-ndjson"
	if o.sse {
		kind = "text/event-stream"
	}
	o.w.Header().Set("Content-Type", kind)
	o.w.WriteHeader(http.StatusOK)
	return o.sent()
}

func (o *eventWriter) write(rec events.Record) error {
	if !o.begun {
		if err := o.begin(); err != nil {
			return err
		}
	}
	if len(rec.Data) > 0 {
		rec.Data = redact(rec.Data)
	}
	// A record that comes late, while following, must not meet an old deadline.
	if err := o.rc.SetWriteDeadline(time.Now().Add(writePatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("write event: %w", err)
	}
	if err := o.line(rec); err != nil {
		return fmt.Errorf("write event %d: %w", rec.Seq, err)
	}
	return o.sent()
}

func (o *eventWriter) line(rec events.Record) error {
	name := "unreadable"
	if rec.Kind != "" {
		name = rec.Kind + "." + rec.Action
	}
	return o.item(rec.Seq, name, rec)
}

func (o *eventWriter) item(seq uint64, name string, v any) error {
	if !o.sse {
		return encode(o.w, v)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	id := ""
	if seq > 0 { // where a reader goes on who connects again; what is in no log leaves that as it is
		id = fmt.Sprintf("id: %d\n", seq)
	}
	_, err = fmt.Fprintf(o.w, "%sevent: %s\ndata: %s\n\n", id, name, data)
	return err
}

// failure is the last line of a list that is not complete.
type failure struct {
	Problem *Problem `json:"problem"`
}

// fail tells the reader, if that is still there, why no more comes.
func (o *eventWriter) fail(err error) {
	o.flush = true
	if o.rc.SetWriteDeadline(time.Now().Add(writePatience)) == nil && o.item(0, "problem", failure{problemOf(err)}) == nil {
		_ = o.sent() // there is nobody left to tell
	}
}

// sent passes on what a following reader waits for, and lifts the deadline until the next.
func (o *eventWriter) sent() error {
	if !o.flush {
		return nil
	}
	if err := o.rc.Flush(); err != nil {
		return fmt.Errorf("flush events: %w", err)
	}
	if err := o.rc.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("flush events: %w", err)
	}
	return nil
}
