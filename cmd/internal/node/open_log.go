package node

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"time"

	"sluice/events"
	"sluice/events/broker"
	"sluice/events/stream"
)

// openLog starts the embedded log, or connects to the external one. An external log that
// cannot be reached now is no error: the connections go on trying.
func (n *Node) openLog(ctx context.Context) error {
	auth := stream.Auth{
		TokenFile: n.cfg.natsTokenPath(),
		CredsFile: n.cfg.NATS.CredsFile, NKeySeedFile: n.cfg.NATS.NKeySeedFile,
		CAFile: n.cfg.NATS.CAFile, CertFile: n.cfg.NATS.CertFile, KeyFile: n.cfg.NATS.KeyFile,
	}
	cfg := stream.ConnConfig{URL: n.cfg.NATS.URL, Name: "sluice " + n.cfg.Name, Auth: auth, Logger: n.cfg.Logger}
	logCfg := stream.Config{Subjects: n.subjects, MaxBytes: n.cfg.NATS.LogSize, Replicas: n.cfg.NATS.LogReplicas}
	if n.cfg.NATS.Embedded() {
		b, err := n.openBroker(ctx)
		if err != nil {
			return err
		}
		cfg.URL, cfg.InProcess, n.client = "", b, b.ClientURL()
	}
	conn, err := stream.Connect(cfg)
	if err != nil {
		return err
	}
	n.conn = conn
	n.onClose(conn.Close)
	n.log, err = stream.New(conn, logCfg)
	return err
}

// fitLog gives a log that is there already the size and the copies that are set, and looks again
// every hour, since nodes of a cluster come and go. What the server does not grant is told, and
// the log stays as it is.
func (n *Node) fitLog(ctx context.Context) {
	if n.cfg.NATS.Embedded() && n.cfg.NATS.LogSize == 0 {
		return
	}
	for {
		wait := time.Second
		switch err := n.log.Fit(ctx); {
		case err == nil:
			wait = time.Hour
		case ctx.Err() != nil:
			return
		case !errors.Is(err, events.ErrUnavailable) && !errors.Is(err, events.ErrNoLog):
			n.cfg.Logger.Error().Err(err).Msg("the log keeps its limits: correct --log-size or --log-replicas")
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// readNATSToken reads the token of NATS's clients, and refuses a log that anybody could write.
func (n *Node) readNATSToken(context.Context) (err error) {
	if n.token, err = natsToken(n.cfg.natsTokenPath()); err != nil || !n.cfg.NATS.Embedded() {
		return err
	}
	if n.token == "" && checkAddr(setListen, n.cfg.NATS.Listen) == nil && !loopback(n.cfg.NATS.Listen) {
		return setListen.problem(n.cfg.NATS.Listen, "would let anybody on the network write the log",
			"listen on 127.0.0.1, or give clients a token with "+string(setNATSToken))
	}
	return nil
}

func (c Config) natsTokenPath() string { return c.secret(c.NATS.TokenFile, "sluice_nats_token") }

func (n *Node) openBroker(ctx context.Context) (*broker.Server, error) {
	b, err := broker.Start(ctx, broker.Config{
		StoreDir: filepath.Join(n.cfg.DataDir, "log"), Listen: n.cfg.NATS.Listen, Token: n.token, Logger: n.cfg.Logger,
		LockWait: n.cfg.LockWait,
	})
	if err != nil {
		return nil, err
	}
	n.onClose(func() error { return shutDown(ctx, b) })
	return b, nil
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
