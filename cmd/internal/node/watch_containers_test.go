package node

import (
	"fmt"
	"net/netip"
	"testing"

	"sluice/crdt/service"
)

func TestContainersOfAPlainHost(t *testing.T) {
	t.Parallel()
	w := startWatched(t, true)
	w.watcher(t)
	compose := []string{"com.docker.compose.project", "shop", "com.docker.compose.service", "web"}
	w.docker.Container("alone", "172.18.0.2", "Up 2 seconds (health: starting)", labels("/alone"))
	w.looks(t, 3)
	w.want(t, "")
	w.docker.Container("alone", "172.18.0.2", "Up 9 seconds (healthy)", labels("/alone"))
	w.docker.Container("shop-web-1", "172.18.0.3", "Up 1 second", labels("/web", compose...))
	w.docker.Container("shop-web-2", "172.18.0.4", "Up 1 second", labels("/web", compose...))
	w.want(t, "alone /alone; shop_web /web")
	w.wantTasks(t, "shop_web", []string{"172.18.0.3", "172.18.0.4"}, nil)
	w.docker.Container("shop-web-2", "", "Exited (0) 1 second ago", labels("/web", compose...))
	w.wantTasks(t, "shop_web", []string{"172.18.0.3"}, nil)
	short := append(compose, "com.df.shortName", "true")
	w.docker.Container("shop-web-1", "172.18.0.3", "Up 1 second", labels("/web", short...))
	w.docker.Container("shop-web-2", "172.18.0.4", "Up 1 second", labels("/web", short...))
	w.want(t, "alone /alone; web /web")
	w.docker.RemoveContainer("alone")
	w.want(t, "web /web")
}

// TestComposeProjectsWithOneServiceName: in a network that they share Docker answers "web" with
// the containers of both, so no route may go by that name.
func TestComposeProjectsWithOneServiceName(t *testing.T) {
	t.Parallel()
	w := startWatched(t, true)
	w.networks = []netip.Prefix{netip.MustParsePrefix("172.20.0.9/16")}
	w.watcher(t)
	for i, project := range []string{"blog", "shop"} {
		name := project + "-web-1"
		w.docker.Container(name, fmt.Sprint("172.18.0.", i+2), "Up 1 second", labels("/"+project, "com.docker.compose.project", project, "com.docker.compose.service", "web"))
		w.docker.Connect(name, project+"_default", fmt.Sprintf("172.3%d.0.2", i))
		w.docker.Connect(name, "proxy", fmt.Sprint("172.20.0.", i+2)) // where Sluice is
	}
	w.want(t, "blog_web /blog; shop_web /shop")
	w.wantTasks(t, "blog_web", []string{"172.20.0.2"}, nil)
	w.wantTasks(t, "shop_web", []string{"172.20.0.3"}, nil)
	for _, e := range w.backend.Entries(service.Key("")) {
		s, err := service.Decode(e.Value)
		if err != nil || s.Destinations[0].OutboundHostname != "" || s.Source.Kind != service.DockerSource {
			t.Errorf("%s, %v", e.Value, err)
		}
	}
	w.docker.Container("shop-web-1", "", "Exited (0) 1 second ago", labels("/shop", "com.docker.compose.project", "shop", "com.docker.compose.service", "web"))
	w.wantTasks(t, "shop_web", nil, nil)
	w.docker.Container("shop-web-1", "172.20.0.8", "Up 1 second", labels("/shop", "com.docker.compose.project", "shop", "com.docker.compose.service", "web"))
	w.wantTasks(t, "shop_web", []string{"172.20.0.8"}, nil)
	w.wantTasks(t, "blog_web", []string{"172.20.0.2"}, nil)
}
