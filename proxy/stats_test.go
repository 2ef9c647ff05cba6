package proxy_test

import (
	"testing"

	"sluice/crdt/service"
	"sluice/proxy"
)

func TestStatisticsOnAPortOfTheirOwn(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Stats = proxy.Stats{User: "u", Password: "p", URI: "/stats", Port: 8404}
	m := proxy.Build(&o, []service.Service{simple("statistics", 80, "/")}, proxy.View{Addresses: addresses(nil)})
	accept(t, m, o.CfgDir)
}
