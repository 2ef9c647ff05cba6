package swarm_test

import (
	"fmt"
	"testing"
)

// TestBrokerComesBackOnItsVolume: what was accepted is still there, the proxies have served on,
// and changes go on.
func TestBrokerComesBackOnItsVolume(t *testing.T) {
	ready(t)
	change(t, routeTo("kept", "/kept"))
	eventually(t, patience, "the route through every replica", func() error { return routedByAll(3, "/kept/hello") })
	id := stream(t)
	load := startLoad(t, "/kept/hello")
	load.settle()
	old := waitHealthy(t, broker, 1)
	docker(t, "kill", old[0])
	replacedBroker(t, old[0])
	eventually(t, patience, "the replicas follow the log again", func() error { return sameState(3) })
	if got := stream(t); got != id {
		t.Errorf("the log is %s, was %s", got, id)
	}
	eventually(t, patience, "a change", func() error { _, err := get(routeTo("after", "/after")); return err })
	eventually(t, patience, "a new route through every replica", func() error { return routedByAll(3, "/after/hello") })
	load.stop()
}

// TestBrokerReplacedByAnEmptyOne: its volume is gone for good, and the replicas write what they
// hold into the new log, of which a new replica lives.
func TestBrokerReplacedByAnEmptyOne(t *testing.T) {
	ready(t)
	id := stream(t)
	load := startLoad(t, "/demo/hello")
	docker(t, "service", "scale", "--detach", broker+"=0")
	eventually(t, patience, "no broker", func() error {
		all := lines(docker(t, "ps", "-aq", "--filter", "label=com.docker.swarm.service.name="+broker, "--filter", "status=running"))
		if len(all) > 0 {
			return fmt.Errorf("%v run", all)
		}
		return nil
	})
	change(t, routeTo("meanwhile", "/meanwhile"))
	eventually(t, patience, "a change without a log reaches all", func() error { return routedByAll(3, "/meanwhile/hello") })
	for _, c := range lines(docker(t, "ps", "-aq", "--filter", "label=com.docker.swarm.service.name="+broker)) {
		docker(t, "rm", c)
	}
	docker(t, "volume", "rm", stackName+"_broker")
	scale(t, broker, 1)
	eventually(t, patience, "the replicas have a new log", func() error {
		if err := sameState(3); err != nil {
			return err
		}
		if stream(t) == id {
			return fmt.Errorf("still the old log %s", id)
		}
		return nil
	})
	load.stop()

	docker(t, "rm", "-f", containers(t, proxy)[0])
	waitHealthy(t, proxy, 3)
	eventually(t, patience, "a replica that knows only the new log routes, too", func() error { return routedByAll(3, "/demo/hello") })
	eventually(t, patience, "what was changed meanwhile is in it", func() error { return routedByAll(3, "/meanwhile/hello") })
}

// replacedBroker waits for a healthy broker in another container.
func replacedBroker(t testing.TB, old string) {
	t.Helper()
	eventually(t, patience, "another broker", func() error {
		if now := healthy(t, broker); len(now) != 1 || now[0] == old {
			return fmt.Errorf("%v, was %s", now, old)
		}
		return nil
	})
}
