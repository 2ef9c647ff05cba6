package node

import (
	"context"
	"net"
	"path/filepath"

	"sluice/events/broker"
	"sluice/events/stream"
)

// openLog starts the embedded log, or connects to the external one. An external log that
// cannot be reached now is no error: the connections go on trying.
func (n *Node) openLog(ctx context.Context) error {
	auth := stream.Auth{
		TokenFile: n.cfg.secret(n.cfg.NATS.TokenFile, "sluice_nats_token"),
		CredsFile: n.cfg.NATS.CredsFile, NKeySeedFile: n.cfg.NATS.NKeySeedFile,
		CAFile: n.cfg.NATS.CAFile, CertFile: n.cfg.NATS.CertFile, KeyFile: n.cfg.NATS.KeyFile,
	}
	cfg := stream.ConnConfig{URL: n.cfg.NATS.URL, Name: "sluice " + n.cfg.Name, Auth: auth, Logger: n.cfg.Logger}
	logCfg := stream.Config{Subjects: n.subjects, MaxBytes: n.cfg.NATS.LogSize, Replicas: n.cfg.NATS.LogReplicas}
	if n.cfg.NATS.Embedded() {
		b, err := n.openBroker(ctx, auth.TokenFile)
		if err != nil {
			return err
		}
		cfg.URL, cfg.InProcess = "", b
		if logCfg.MaxBytes == 0 {
			logCfg.MaxBytes = min(stream.DefaultMaxBytes, b.MaxStore()/2)
		}
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

func (n *Node) openBroker(ctx context.Context, tokenFile string) (*broker.Server, error) {
	token, err := natsToken(tokenFile)
	if err != nil {
		return nil, err
	}
	if token == "" && !loopback(n.cfg.NATS.Listen) {
		return nil, setListen.problem(n.cfg.NATS.Listen, "would let anybody on the network write the log",
			"listen on 127.0.0.1, or give clients a token with "+string(setNATSToken))
	}
	b, err := broker.Start(ctx, broker.Config{
		StoreDir: filepath.Join(n.cfg.DataDir, "log"), Listen: n.cfg.NATS.Listen, Token: token, Logger: n.cfg.Logger,
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
