package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// reopenInterval is how often a store that cannot be written is tried.
	reopenInterval = 2 * time.Second
	// probeSize is what a disk must take before the store is opened anew: the server writes more
	// than a message then, and a disk that is full again at once is not worth it.
	probeSize = 1 << 20
)

// Healthy is nil while the server runs and its store takes what is written. The error names the
// remedy; once that is done the server is healthy again by itself, within seconds.
func (b *Server) Healthy() error {
	if err := b.serving(); err != nil {
		return err
	}
	return b.storeProblem()
}

// serving is nil while the server runs and takes connections.
func (b *Server) serving() error {
	if !b.server.Running() {
		return errors.New("embedded NATS server: not running")
	}
	status := b.server.Healthz(&server.HealthzOptions{JSServerOnly: true})
	if status.StatusCode == 0 || status.StatusCode == 200 {
		return nil
	}
	return fmt.Errorf("embedded NATS server: %s: %s", status.Status, status.Error)
}

// storeProblem is nil while the store takes what is written.
func (b *Server) storeProblem() error {
	why := ""
	if !b.server.JetStreamEnabled() {
		why = "JetStream is off"
	}
	for _, e := range b.server.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if e.Type == server.HealthzErrorStream && strings.Contains(e.Error, "write error") {
			why = e.Error
			break
		}
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("the store in %s cannot be written (%s): "+
		"make room on its disk, or give it a larger one; it is tried again every %s", b.store.dir, why, reopenInterval)
}

// keepOpen opens the store anew once the disk takes writes again, until ctx ends. After one
// failed write the server refuses all that follow, whatever becomes of the disk.
func (b *Server) keepOpen(ctx context.Context) {
	tick := time.NewTicker(reopenInterval)
	defer tick.Stop()
	told := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		problem := b.storeProblem()
		if problem == nil || !b.server.Running() {
			continue
		}
		if !told {
			b.log.log.Error().Err(problem).Msg("the store is full or broken")
			told = true
		}
		if err := probe(b.store.dir); err != nil {
			continue
		}
		if err := b.reopen(); err != nil {
			b.log.log.Error().Err(err).Msg("the store stays closed")
			continue
		}
		b.log.log.Info().Msg("the disk takes writes again, the store is open")
		told = false
	}
}

// reopen is what a restart would do to the store, with clients connected.
func (b *Server) reopen() error {
	if err := b.server.ShutdownJetStream(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	cfg := b.jetStream // the server changes what it is given
	if err := b.server.EnableJetStream(&cfg); err != nil {
		// Else it would count as open.
		return errors.Join(fmt.Errorf("open store: %w", err), b.server.ShutdownJetStream())
	}
	return nil
}

// probe reports whether the disk of a directory takes writes.
func probe(dir string) error {
	f, err := os.CreateTemp(dir, "probe.*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, probeSize))
	return errors.Join(err, f.Sync(), f.Close())
}
