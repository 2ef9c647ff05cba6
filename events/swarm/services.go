package swarm

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"sluice/crdt/service"
)

// seeServices lists the Swarm's services, and the tasks of those with the label.
func (d *docker) seeServices(ctx context.Context) (*Seen, error) {
	res, err := d.client.ServiceList(ctx, client.ServiceListOptions{Status: true})
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	seen := &Seen{Kind: d.kind, Cluster: d.cluster, IDs: map[string]bool{}}
	asks := map[string]asked{}
	filters := client.Filters{}
	for i := range res.Items {
		s := &res.Items[i]
		seen.IDs[s.ID] = true
		if a, ok := d.rules.read(s.Spec.Name, s.Spec.Labels[stackNamespace], s.Spec.Labels); ok {
			asks[s.ID] = a
			filters.Add("service", s.ID)
		}
	}
	if len(asks) == 0 {
		return seen, nil
	}
	tasks, err := d.client.TaskList(ctx, client.TaskListOptions{Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	byService := map[string][]swarm.Task{}
	for _, t := range tasks.Items {
		byService[t.ServiceID] = append(byService[t.ServiceID], t)
	}
	for i := range res.Items {
		s := &res.Items[i]
		if a, ok := asks[s.ID]; ok {
			o, moving := d.serviceObject(s, a, byService[s.ID])
			seen.Objects = append(seen.Objects, o)
			seen.Moving = seen.Moving || moving
		}
	}
	sortObjects(seen.Objects)
	return seen, nil
}

// serviceObject is what a service asks for, and whether its tasks start or stop.
func (d *docker) serviceObject(s *swarm.Service, a asked, tasks []swarm.Task) (Object, bool) {
	if r := s.Spec.Mode.Replicated; r != nil && r.Replicas != nil {
		a.replicate(*r.Replicas)
	}
	a.reach(s.Spec.Name)
	o := Object{
		Name: a.name, Params: a.params, Invalid: a.invalid, Unknown: a.unknown, Created: s.CreatedAt, Updated: s.UpdatedAt, Relabelled: s.UpdatedAt,
		Source: service.Source{Kind: d.kind, Cluster: d.cluster, ID: s.ID, Version: s.Version.Index},
	}
	d.rules.sign(&o)
	before := s.PreviousSpec
	if before != nil && maps.Equal(before.Labels, s.Spec.Labels) {
		o.Relabelled = s.CreatedAt // the last update was about something else
	}
	o.Asked = o.Relabelled
	if before != nil && scaledToNothing(before) && !scaledToNothing(&s.Spec) {
		o.Asked = s.UpdatedAt
	}
	o.Remove = a.params.Get("replicas") == "0"
	t := sortTasks(tasks, a.network)
	o.Runs = t.runs > 0
	dns := s.Spec.EndpointSpec != nil && s.Spec.EndpointSpec.Mode == swarm.ResolutionModeDNSRR
	if uses := usesTasks(a.params); uses || dns {
		o.Tasks.Cluster, o.Tasks.Leaving = d.cluster, texts(t.leaving)
		if uses {
			o.Tasks.Running = texts(t.running)
		}
	}
	return o, t.moving || t.runs != wanted(s, t.desired)
}

func scaledToNothing(s *swarm.ServiceSpec) bool {
	r := s.Mode.Replicated
	return r != nil && r.Replicas != nil && *r.Replicas == 0
}

// wanted is how many tasks are to run.
func wanted(s *swarm.Service, desired int) int {
	switch m := s.Spec.Mode; {
	case m.Replicated != nil && m.Replicated.Replicas != nil:
		return int(*m.Replicated.Replicas)
	case m.Global != nil && s.ServiceStatus != nil:
		return int(s.ServiceStatus.DesiredTasks)
	}
	return desired
}

// sorted are tasks by what becomes of them.
type sorted struct {
	running, leaving []netip.Addr
	// runs are those that run and are to run, desired those that are to run.
	runs, desired int
	moving        bool // some stop
}

func sortTasks(tasks []swarm.Task, network string) sorted {
	var s sorted
	for i := range tasks {
		t := &tasks[i]
		stays, runs := t.DesiredState == swarm.TaskStateRunning, t.Status.State == swarm.TaskStateRunning
		switch {
		case stays && runs:
			s.runs++
			s.desired++
			if list := addressesOf(t, network); len(list) > 0 {
				s.running = append(s.running, list[0])
			}
		case stays:
			s.desired++
		case runs:
			s.moving = true
			s.leaving = append(s.leaving, addressesOf(t, "")...)
		}
	}
	return s
}

// addressesOf are a task's addresses: that of the network called network first, else of the
// first by name. The ingress network leads to no task of a service.
func addressesOf(t *swarm.Task, network string) []netip.Addr {
	list := slices.Clone(t.NetworksAttachments)
	slices.SortStableFunc(list, func(a, b swarm.NetworkAttachment) int {
		left, right := a.Network.Spec.Name, b.Network.Spec.Name
		if network != "" && (left == network) != (right == network) {
			if left == network {
				return -1
			}
			return 1
		}
		return strings.Compare(left, right)
	})
	var addrs []netip.Addr
	for _, n := range list {
		if n.Network.Spec.Ingress || len(n.Addresses) == 0 {
			continue
		}
		if addr := n.Addresses[0].Addr(); addr.IsValid() {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}
