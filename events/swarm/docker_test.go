package swarm_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	dockerswarm "github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"sluice/events/swarm/dockertest"
)

// daemon is a Docker to put the same questions to: the one of the tests, or a real one.
type daemon struct {
	host   string
	create func(name string, labels map[string]string)
	remove func(name string)
}

// daemons are the fake one, and the real one that SLUICE_TEST_DOCKER names, if it is a
// manager (or, for plain, in no Swarm).
func daemons(t *testing.T, plain bool) map[string]daemon {
	t.Helper()
	fake := dockertest.Start(t, plain)
	all := map[string]daemon{"fake": {fake.Host, func(name string, labels map[string]string) { fake.Service(name, labels, 0) }, fake.Remove}}
	host := os.Getenv("SLUICE_TEST_DOCKER")
	if host == "" {
		return all
	}
	c := dial(t, host)
	info, err := c.Info(t.Context(), client.InfoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if (info.Info.Swarm.LocalNodeState == dockerswarm.LocalNodeStateInactive) != plain {
		return all
	}
	zero := uint64(0)
	all["real"] = daemon{host, func(name string, labels map[string]string) {
		_, err := c.ServiceCreate(t.Context(), client.ServiceCreateOptions{Spec: dockerswarm.ServiceSpec{
			Annotations:  dockerswarm.Annotations{Name: name, Labels: labels},
			TaskTemplate: dockerswarm.TaskSpec{ContainerSpec: &dockerswarm.ContainerSpec{Image: "none:none"}},
			Mode:         dockerswarm.ServiceMode{Replicated: &dockerswarm.ReplicatedService{Replicas: &zero}},
			EndpointSpec: &dockerswarm.EndpointSpec{Mode: dockerswarm.ResolutionModeDNSRR},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}, func(name string) {
		if _, err := c.ServiceRemove(context.WithoutCancel(t.Context()), name, client.ServiceRemoveOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
			t.Error(err)
		}
	}}
	return all
}

func dial(t *testing.T, host string) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost(host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestTheFakeAnswersAsARealDaemon holds the fake to what a real daemon says.
func TestTheFakeAnswersAsARealDaemon(t *testing.T) {
	for kind, d := range daemons(t, false) {
		t.Run("manager, "+kind, func(t *testing.T) { asManager(t, d) })
	}
	for kind, d := range daemons(t, true) {
		t.Run("plain host, "+kind, func(t *testing.T) { asPlainHost(t, d) })
	}
}

func asManager(t *testing.T, d daemon) {
	c, ctx := dial(t, d.host), t.Context()
	name := fmt.Sprintf("sluice-test-%d", time.Now().UnixNano())
	info, err := c.Info(ctx, client.InfoOptions{})
	if s := info.Info.Swarm; err != nil || s.LocalNodeState != dockerswarm.LocalNodeStateActive || !s.ControlAvailable || s.Cluster == nil || s.Cluster.ID == "" {
		t.Fatalf("%+v, %v", info.Info.Swarm, err)
	}
	if _, err := c.ServiceInspect(ctx, "unknown", client.ServiceInspectOptions{}); !cerrdefs.IsNotFound(err) {
		t.Errorf("an unknown service: %v", err)
	}
	stream := c.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.Add("type", "service")})
	d.create(name, map[string]string{"com.df.notify": "true"})
	t.Cleanup(func() { d.remove(name) })
	list, err := c.ServiceList(ctx, client.ServiceListOptions{Status: true})
	var made *dockerswarm.Service
	for i := range list.Items {
		if list.Items[i].Spec.Name == name {
			made = &list.Items[i]
		}
	}
	if err != nil || made == nil {
		t.Fatalf("it is not listed: %+v, %v", list, err)
	}
	if made.Version.Index == 0 || made.UpdatedAt.IsZero() || made.Spec.Labels["com.df.notify"] != "true" || *made.Spec.Mode.Replicated.Replicas != 0 || made.Spec.EndpointSpec.Mode != dockerswarm.ResolutionModeDNSRR {
		t.Errorf("%+v", made)
	}
	if one, err := c.ServiceInspect(ctx, made.ID, client.ServiceInspectOptions{}); err != nil || one.Service.ID != made.ID {
		t.Errorf("inspect: %+v, %v", one, err)
	}
	if tasks, err := c.TaskList(ctx, client.TaskListOptions{Filters: client.Filters{}.Add("service", made.ID)}); err != nil || len(tasks.Items) != 0 {
		t.Errorf("tasks: %+v, %v", tasks, err)
	}
	d.remove(name)
	if _, err := c.ServiceInspect(ctx, made.ID, client.ServiceInspectOptions{}); !cerrdefs.IsNotFound(err) {
		t.Errorf("a removed service: %v", err)
	}
	told := map[string]bool{}
	for deadline := time.After(time.Minute); !told["create"] || !told["remove"]; {
		select {
		case m := <-stream.Messages:
			if m.Actor.ID == made.ID {
				told[string(m.Action)] = true
			}
		case err := <-stream.Err:
			t.Fatal(err)
		case <-deadline:
			t.Fatalf("events %v", told)
		}
	}
}

func asPlainHost(t *testing.T, d daemon) {
	c, ctx := dial(t, d.host), t.Context()
	info, err := c.Info(ctx, client.InfoOptions{})
	if err != nil || info.Info.ID == "" || info.Info.Swarm.LocalNodeState != dockerswarm.LocalNodeStateInactive {
		t.Errorf("%+v, %v", info.Info.Swarm, err)
	}
	if _, err := c.ContainerList(ctx, client.ContainerListOptions{All: true}); err != nil {
		t.Error(err)
	}
	_, list := c.ServiceList(ctx, client.ServiceListOptions{Status: true})
	_, inspect := c.ServiceInspect(ctx, "unknown", client.ServiceInspectOptions{})
	for _, err := range []error{list, inspect} {
		if !cerrdefs.IsUnavailable(err) || !strings.Contains(err.Error(), "swarm manager") {
			t.Errorf("services: %v", err)
		}
	}
}
