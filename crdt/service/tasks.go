package service

import (
	"net/netip"
	"slices"
)

// MaxTasks is how many addresses each list of Tasks may have.
const MaxTasks = 1000

// Tasks are the addresses of a service's tasks as Docker tells them. They stand beside the
// definition, so that whoever changes that does not lose them.
type Tasks struct {
	// Cluster is the id of the Swarm or Docker host that they are of.
	Cluster string `json:"cluster,omitempty"`
	// Running take requests. The proxy uses them where the service's name does not resolve, and
	// of containers nothing else.
	Running []string `json:"running,omitempty"`
	// Leaving are about to stop: no new clients, unless a setting says something else than ready.
	Leaving []string `json:"leaving,omitempty"`
}

// IsZero reports whether nothing is known of tasks.
func (t Tasks) IsZero() bool { return len(t.Running)+len(t.Leaving) == 0 }

// Equal reports whether the lists are equal.
func (t Tasks) Equal(o Tasks) bool {
	return t.Cluster == o.Cluster && slices.Equal(t.Running, o.Running) && slices.Equal(t.Leaving, o.Leaving)
}

// Addresses are those of the running tasks, sorted.
func (t Tasks) Addresses() []netip.Addr {
	list := make([]netip.Addr, 0, len(t.Running))
	for _, text := range t.Running {
		if addr, err := netip.ParseAddr(text); err == nil {
			list = append(list, addr)
		}
	}
	return list
}

func (t Tasks) leaves(addr netip.Addr) bool {
	return len(t.Leaving) > 0 && addr.IsValid() && slices.Contains(t.Leaving, addr.Unmap().String())
}

// normal sorts and checks the lists.
func (t Tasks) normal(p *problems) Tasks {
	c := Tasks{Cluster: t.Cluster, Running: taskList(p, "tasks.running", t.Running), Leaving: taskList(p, "tasks.leaving", t.Leaving)}
	if c.IsZero() {
		return Tasks{}
	}
	if !sourceText.MatchString(t.Cluster) {
		p.add("tasks.cluster", t.Cluster, fault{"is no identifier", "use 1 to 300 letters, digits and _.:/-"})
	}
	return c
}

func taskList(p *problems, param string, texts []string) []string {
	if len(texts) > MaxTasks {
		p.add(param, "", fault{"has too many elements", "give at most 1000"})
		return nil
	}
	list := make([]netip.Addr, 0, len(texts))
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			p.add(param, text, fault{"is no address", "use IPv4 or IPv6 addresses"})
			continue
		}
		list = append(list, addr.Unmap())
	}
	slices.SortFunc(list, netip.Addr.Compare)
	list = slices.Compact(list)
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i, addr := range list {
		out[i] = addr.String()
	}
	return out
}
