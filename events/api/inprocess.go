package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// insideKey marks the context of a request that never crossed a network. Nothing that comes
// by a listener can set it.
type insideKey struct{}

// inside reports whether a part of this program asks.
func inside(r *http.Request) bool { return r.Context().Value(insideKey{}) != nil }

// Inside is how a part of this program calls the API without a network and a token, as the
// http.Client of a Client. Answers are held in memory: it is not for following events.
func (s *Server) Inside() *http.Client { return &http.Client{Transport: insideTransport{s}} }

type insideTransport struct{ server *Server }

// RoundTrip hands the request to the server's own handler.
func (t insideTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(context.WithValue(r.Context(), insideKey{}, true))
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	in.RequestURI = r.URL.RequestURI()
	w := &answerBuffer{header: http.Header{}, status: http.StatusOK}
	t.server.Handler().ServeHTTP(w, in)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// answerBuffer keeps an answer in memory.
type answerBuffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answerBuffer) Header() http.Header         { return w.header }
func (w *answerBuffer) WriteHeader(status int)      { w.status = status }
func (w *answerBuffer) Write(p []byte) (int, error) { return w.body.Write(p) }
