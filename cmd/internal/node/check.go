package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sluice/events/broker"
	"sluice/proxy"
	"sluice/proxy/certs"
	"sluice/proxy/haproxy"
)

// check reports all problems that can be told before anything starts, and reads what the
// settings name.
func (n *Node) check(ctx context.Context) error {
	errs := []error{n.cfg.Validate()}
	for _, step := range []func(context.Context) error{n.findHAProxy, n.readTokens, n.readLocal, n.readUsers, n.readNATSToken, n.readConsulToken} {
		errs = append(errs, step(ctx))
	}
	given := n.cfg.clusterKeyPath() != ""
	if given {
		errs = append(errs, n.readKey())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := n.lockDataDir(ctx); err != nil || given {
		return err
	}
	// Without a file of it a key may have to be written, which a start that fails must not do.
	return n.readKey()
}

// lockWait is the default of Config.LockWait.
const lockWait = 30 * time.Second

// lockDataDir comes before anything in the data directory is read or written: of two processes
// there each would cut off and overwrite what the other one has promised to keep.
func (n *Node) lockDataDir(ctx context.Context) (err error) {
	n.dataDir, err = broker.LockDir(ctx, broker.LockConfig{
		Dir: n.cfg.DataDir, Holder: "replica " + n.cfg.Name, Wait: n.cfg.LockWait, Logger: n.component("node"),
	})
	return err
}

// readKey reads the cluster key, and the mesh's secret, which may be made of it.
func (n *Node) readKey() (err error) {
	if n.key, err = clusterKey(n.cfg); err == nil && len(n.cfg.Peers.Names) > 0 {
		n.secret, err = n.meshSecret()
	}
	return err
}

// findHAProxy finds the program and asks it about the settings.
func (n *Node) findHAProxy(ctx context.Context) (err error) {
	if n.haproxy, err = haproxy.Find(ctx, n.cfg.HAProxy); err != nil {
		return err
	}
	return n.askHAProxy(ctx)
}

func (n *Node) readTokens(context.Context) (err error) {
	n.access, err = tokens(n.cfg)
	return err
}

func (n *Node) readLocal(context.Context) (err error) {
	n.local, err = n.localServices()
	return err
}

func (n *Node) readUsers(context.Context) (err error) {
	n.users, err = globalUsers(n.cfg)
	return err
}

// askHAProxy asks the program about the settings, before anything starts.
func (n *Node) askHAProxy(ctx context.Context) error {
	dir, err := os.MkdirTemp(n.cfg.Proxy.CfgDir, proxy.StagingPrefix)
	if err != nil { // that directory has a problem of its own
		dir, err = os.MkdirTemp("", proxy.StagingPrefix)
	}
	if err != nil {
		return fmt.Errorf("make a directory to ask HAProxy about the settings: %w", err)
	}
	defer os.RemoveAll(dir)
	certificate, err := certs.New(certs.Config{FallbackFile: filepath.Join(dir, "self-signed.pem"), WriteFile: WriteFile, Now: time.Now}).Fallback()
	if err != nil {
		return err
	}
	return proxy.SettingsCheck{Options: n.haproxyUser(), Checker: n.haproxy, Dir: dir, Certificate: certificate}.Run(ctx)
}
