package swarm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"sluice/crdt/service"
)

// dockerTimeout bounds one question to Docker.
const dockerTimeout = 15 * time.Second

// errNoManager: the daemon is a worker of a Swarm, which cannot list services.
var errNoManager = errors.New("this node is a worker of a Swarm: name a manager with --docker-host")

// leftFor is how long a manager must say that it is in no Swarm before its containers are
// looked at instead: a daemon that stops says so too.
const leftFor = 30 * time.Second

// docker asks one Docker daemon. It is not safe for concurrent use but for events.
type docker struct {
	client *client.Client
	rules  rules
	// networks are those of the watcher; nil: not known.
	networks func() ([]netip.Prefix, error)
	// kind and cluster are what the daemon was when it was last asked; empty: not known.
	kind, cluster string
	// managed is when it was last the manager of a Swarm; zero: never.
	managed time.Time
}

func connect(c Config) (*client.Client, error) {
	opts := []client.Opt{client.WithHost(c.Host), client.WithUserAgent("sluice")}
	if c.CertDir != "" {
		file := func(name string) string { return filepath.Join(c.CertDir, name) }
		opts = append(opts, client.WithTLSClientConfig(file("ca.pem"), file("cert.pem"), file("key.pem")))
	}
	return client.New(opts...)
}

// identify asks what the daemon is: a manager of a Swarm, or a plain host.
func (d *docker) identify(ctx context.Context) error {
	d.kind, d.cluster = "", ""
	res, err := d.client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("ask Docker what it is: %w", err)
	}
	info := res.Info
	switch state := info.Swarm.LocalNodeState; {
	case (state == swarm.LocalNodeStateInactive || state == "") && time.Since(d.managed) < leftFor:
		return errors.New("ask Docker what it is: it has just left its Swarm, or stops")
	case state == swarm.LocalNodeStateInactive || state == "":
		d.kind, d.cluster = service.DockerSource, info.ID
	case state != swarm.LocalNodeStateActive:
		return fmt.Errorf("ask Docker what it is: its Swarm is %s", state)
	case !info.Swarm.ControlAvailable:
		return errNoManager
	case info.Swarm.Cluster != nil:
		d.kind, d.cluster, d.managed = service.SwarmSource, info.Swarm.Cluster.ID, time.Now()
	}
	if d.cluster == "" {
		d.kind = ""
		return errors.New("ask Docker what it is: it does not tell its id")
	}
	return nil
}

// see is everything that asks for a route.
func (d *docker) see(ctx context.Context) (*Seen, error) {
	if d.kind == service.SwarmSource {
		return d.seeServices(ctx)
	}
	return d.seeContainers(ctx)
}

// gone reports whether Docker, asked for this one, does not have it, or has it without the
// label.
func (d *docker) gone(ctx context.Context, id string) (bool, error) {
	if d.kind == service.DockerSource {
		seen, err := d.seeContainers(ctx)
		if err != nil {
			return false, err
		}
		for i := range seen.Objects {
			if seen.Objects[i].Source.ID == id {
				return false, nil
			}
		}
		return true, nil
	}
	res, err := d.client.ServiceInspect(ctx, id, client.ServiceInspectOptions{})
	switch {
	case cerrdefs.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("inspect service %s: %w", id, err)
	}
	_, labelled := d.rules.read(res.Service.Spec.Name, "", res.Service.Spec.Labels)
	return !labelled, nil
}
