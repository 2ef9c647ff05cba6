package node

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInstancesAreTheTasksOfTheService(t *testing.T) {
	lookup := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if host != "tasks.edge" {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.7"), netip.MustParseAddr("fd00::1")}, nil
	}
	got, err := instancesOf(t.Context(), lookup, "edge", ":8081")
	if diff := cmp.Diff([]string{"http://10.0.0.7:8081", "http://[fd00::1]:8081"}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := instancesOf(t.Context(), lookup, "proxy", ":8081"); err == nil {
		t.Error("a name that is not there")
	}
}
