package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	statisticsTimeout = 10 * time.Second // for all instances
	maxStatistics     = 64 << 20         // bytes of one instance's table
)

// statistics is Docker Flow Proxy's metrics route: HAProxy's table, with distribute=true those
// of all instances one after the other.
func (s *Server) statistics(w http.ResponseWriter, r *http.Request, _ caller) error {
	if s.cfg.Statistics == nil {
		return newProblem(http.StatusNotFound, "no such path")
	}
	q, err := parameters(r)
	if err != nil {
		return err
	}
	read := s.cfg.Statistics.CSV
	if strings.EqualFold(q.Get("distribute"), "true") && s.cfg.Instances != nil { // anything else is false there
		read = s.statisticsOfAll
	}
	table, err := read(r.Context())
	if err != nil {
		return newProblem(http.StatusInternalServerError, err.Error())
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := w.Write(table); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

func (s *Server) statisticsOfAll(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statisticsTimeout)
	defer cancel()
	bases, err := s.cfg.Instances(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for the instances: %w", err)
	}
	if len(bases) == 0 {
		return s.cfg.Statistics.CSV(ctx)
	}
	var all bytes.Buffer
	for _, base := range bases {
		if err := appendStatistics(ctx, &all, base); err != nil {
			return nil, fmt.Errorf("ask %s for its statistics: %w", base, err)
		}
	}
	return all.Bytes(), nil
}

func appendStatistics(ctx context.Context, all *bytes.Buffer, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+dfpPrefix+"/metrics", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	_, err = all.ReadFrom(io.LimitReader(res.Body, maxStatistics))
	return err
}
