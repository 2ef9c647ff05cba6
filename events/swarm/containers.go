package swarm

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"sluice/crdt/service"
)

// Labels that Docker's own programs give containers.
const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeOneOff  = "com.docker.compose.oneoff"
	swarmService   = "com.docker.swarm.service.id"
)

// seeContainers lists a plain host's containers, those of one compose service together.
func (d *docker) seeContainers(ctx context.Context) (*Seen, error) {
	res, err := d.client.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	seen := &Seen{Kind: d.kind, Cluster: d.cluster, IDs: map[string]bool{}}
	groups := map[string][]container.Summary{}
	for _, c := range res.Items {
		if c.Labels[swarmService] != "" || strings.EqualFold(c.Labels[composeOneOff], "true") {
			continue
		}
		id := containerID(&c)
		seen.IDs[id] = true
		groups[id] = append(groups[id], c)
	}
	for id, list := range groups {
		// The newest knows what is asked for now.
		slices.SortFunc(list, func(a, b container.Summary) int {
			return cmp.Or(cmp.Compare(b.Created, a.Created), cmp.Compare(a.ID, b.ID))
		})
		if o, ok := d.containerObject(id, list); ok {
			seen.Objects = append(seen.Objects, o)
		}
	}
	sortObjects(seen.Objects)
	return seen, nil
}

// containerID is what stays when a container is made anew: project/service, or its name.
func containerID(c *container.Summary) string {
	if c.Labels[composeService] != "" {
		return c.Labels[composeProject] + "/" + c.Labels[composeService]
	}
	return containerName(c)
}

// containerName is the one without a slash inside: the others are links to it.
func containerName(c *container.Summary) string {
	for _, name := range c.Names {
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			return name
		}
	}
	return c.ID
}

// containerObject is what a group of containers asks for.
func (d *docker) containerObject(id string, list []container.Summary) (Object, bool) {
	labels := list[0].Labels
	name, project := containerName(&list[0]), labels[composeProject]
	if labels[composeService] != "" {
		name = project + "_" + labels[composeService]
	}
	a, ok := d.rules.read(name, project, labels)
	if !ok {
		return Object{}, false
	}
	newest := time.Unix(list[0].Created, 0)
	o := Object{
		Name: a.name, Params: a.params, Invalid: a.invalid, Unknown: a.unknown,
		Created: time.Unix(list[len(list)-1].Created, 0), Updated: newest, Relabelled: newest, Asked: newest,
		Source: service.Source{Kind: d.kind, Cluster: d.cluster, ID: id},
	}
	d.rules.sign(&o)
	o.Remove = a.params.Get("replicas") == "0"
	addrs, ready := running(list, d.preference(a.network, project))
	o.Runs = ready
	// No name: on one host they are shared, so these addresses are all that leads there.
	o.Tasks = service.Tasks{Cluster: d.cluster, Running: texts(addrs)}
	return o, true
}

// running are the addresses of the containers that take requests, and whether there are any;
// where none is healthy, of all that run.
func running(list []container.Summary, p preference) ([]netip.Addr, bool) {
	var all, healthy []netip.Addr
	ready := false
	for i := range list {
		c := &list[i]
		if c.State != container.StateRunning {
			continue
		}
		addr, ok := p.address(c)
		if ok {
			all = append(all, addr)
		}
		// Older daemons tell health in this text only.
		if strings.Contains(c.Status, "(unhealthy)") || strings.Contains(c.Status, "(health: starting)") {
			continue
		}
		ready = true
		if ok {
			healthy = append(healthy, addr)
		}
	}
	if len(healthy) > 0 {
		return healthy, ready
	}
	return all, ready
}
