package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

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
	// Without a file of it a key may have to be written, which a start that fails must not do.
	if n.cfg.clusterKeyPath() != "" || errors.Join(errs...) == nil {
		var err error
		if n.key, err = clusterKey(n.cfg); err == nil && len(n.cfg.Peers.Names) > 0 {
			n.secret, err = n.meshSecret()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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
