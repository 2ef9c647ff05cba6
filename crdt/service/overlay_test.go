package service_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/crdt/service"
)

func overlay(t testing.TB, text string) service.Overlay {
	t.Helper()
	o, err := service.ParseOverlay([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

func TestOneOverlayHasOneText(t *testing.T) {
	for given, want := range map[string]string{
		`{}`:                             "",
		`{"state":"ready","weight":1}`:   "",
		`{"servers":{"10.0.0.1":{}}}`:    "",
		` { "weight" : 0 } `:             `{"weight":0}`,
		`{"state":"drain","weight":256}`: `{"state":"drain","weight":256}`,
		`{"servers":{"API.internal:080":{"weight":1}},"destinations":{"2":{"state":"ready"},"10":{"state":"maint"}}}`: `{"destinations":{"10":{"state":"maint"},"2":{"state":"ready"}},"servers":{"api.internal:80":{"weight":1}}}`,
		`{"servers":{"[FD00:0::1]:80":{"weight":2},"FD00:0::1":{"weight":3},"::ffff:10.0.0.1":{"state":"drain"}}}`:    `{"servers":{"10.0.0.1":{"state":"drain"},"[fd00::1]:80":{"weight":2},"fd00::1":{"weight":3}}}`,
	} {
		got, err := overlay(t, given).Canonical()
		if err != nil || string(got) != want {
			t.Errorf("%s: %s (%v), want %s", given, got, err, want)
		}
	}
}

func TestBadOverlaysNameTheField(t *testing.T) {
	long := strings.Repeat("x", 300)
	for given, param := range map[string]string{
		`{"state":"down"}`: "state",
		`{"weight":257}`:   "weight",
		`{"weight":-1}`:    "weight",
		`{"weight":1.5}`:   "weight",
		`{"wieght":1}`:     "body",
		`{"servers":{"10.0.0.1":{"state":"drain","why":1}}}`:        "body",
		`{"destinations":{"1001":{"state":"drain"}}}`:               "destinations.1001",
		`{"destinations":{"1":{"state":"off"}}}`:                    "destinations.1.state",
		`{"servers":{"10.0.0.1:80":{"weight":999}}}`:                "servers.10.0.0.1:80.weight",
		`{"servers":{"10.0.0.1:99999":{"weight":9}}}`:               "servers",
		`{"servers":{"a b\n":{"weight":9}}}`:                        "servers",
		`{"servers":{"":{"weight":9}}}`:                             "servers",
		`{"servers":{"fe80::1%eth0":{"weight":9}}}`:                 "servers",
		`{"servers":{"` + long + `":{"weight":9}}}`:                 "servers",
		`{"servers":{"a.test":{"weight":9},"A.test":{"weight":8}}}`: "servers",
		`{"servers":[]}`:           "servers",
		`null`:                     "body",
		`[]`:                       "body",
		`{} {}`:                    "body",
		`{`:                        "body",
		strings.Repeat(" ", 1<<20): "body",
		`{"servers":{` + manyServers(service.MaxList+1) + `}}`: "servers",
	} {
		_, err := service.ParseOverlay([]byte(given))
		var fields service.Errors
		if !errors.As(err, &fields) || fields[0].Param != param || fields[0].Remedy == "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80s: %v, want %s", given, err, param)
		}
	}
}

func manyServers(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`"10.0.%d.%d":{"weight":2}`, i/250, i%250)
	}
	return strings.Join(list, ",")
}

func TestOverlaysOfLaterVersionsAreRead(t *testing.T) {
	o, err := service.DecodeOverlay([]byte(`{"state":"drain","colour":"blue","servers":{"a":{"weight":3,"until":5}}}`))
	if err != nil || o.State != service.Drain || *o.Servers["a"].Weight != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := service.DecodeOverlay([]byte(`{"state":"asleep"}`)); err == nil {
		t.Error("a state that is not known is taken")
	}
}

func TestTheNarrowestSettingDecides(t *testing.T) {
	o := overlay(t, `{"state":"drain","weight":2,"destinations":{"2":{"state":"maint"}},"servers":{
		"api":{"weight":3},"api:81":{"weight":4},"10.0.0.1":{"weight":5,"state":"ready"},"10.0.0.1:81":{"weight":6}}}`)
	for _, tt := range []struct {
		server service.Server
		state  service.State
		weight int
	}{
		{service.Server{Index: 1, Host: "other", Port: 80}, service.Drain, 2},
		{service.Server{Index: 2, Host: "other", Port: 80}, service.Maint, 2},
		{service.Server{Index: 1, Host: "API", Port: 80}, service.Drain, 3},
		{service.Server{Index: 1, Host: "api", Port: 81}, service.Drain, 4},
		{service.Server{Index: 2, Host: "api", Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}, service.Ready, 5},
		{service.Server{Index: 2, Host: "api", Addr: netip.MustParseAddr("::ffff:10.0.0.1"), Port: 81}, service.Ready, 6},
		{service.Server{Index: 1, Host: "10.0.0.1", Port: 81}, service.Ready, 6},
	} {
		if state, weight := o.At(tt.server); state != tt.state || weight != tt.weight {
			t.Errorf("%+v: %s, %d, want %s, %d", tt.server, state, weight, tt.state, tt.weight)
		}
	}
	if state, weight := (*service.Overlay)(nil).At(service.Server{}); state != service.Ready || weight != 1 {
		t.Errorf("no overlay: %s, %d", state, weight)
	}
	missing := o.Unmatched([]service.Server{{Index: 1, Host: "api", Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}})
	if diff := cmp.Diff([]string{"destination 2", "server 10.0.0.1:81", "server api:81"}, missing); diff != "" {
		t.Error(diff)
	}
}

func TestOverlaysFitTheirService(t *testing.T) {
	s := service.Service{Name: "go-demo", Destinations: []service.Destination{{Index: 1, Port: 80}, {Index: 2, Port: 81, HTTPSPort: 8443, OutboundHostname: "API"}}}
	fits := overlay(t, `{"destinations":{"1":{"weight":2}},"servers":{"go-demo:80":{"weight":2},"api":{"weight":2},"api:8443":{"weight":2},"10.0.0.1":{"weight":2},"[fd00::1]:5":{"weight":2}}}`)
	if err := fits.Fits(&s); err != nil {
		t.Error(err)
	}
	for text, param := range map[string]string{
		`{"destinations":{"3":{"weight":2}}}`: "destinations", `{"servers":{"go-demo:81":{"weight":2}}}`: "servers", `{"servers":{"other":{"weight":2}}}`: "servers",
	} {
		o := overlay(t, text)
		if err := o.Fits(&s); !names(err, param) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestOverlayKeys(t *testing.T) {
	if name, ok := service.Overlaid(service.OverlayKey("go-demo")); name != "go-demo" || !ok {
		t.Error("a key does not lead back to its name")
	}
	for _, k := range []string{"go-demo", "service/go-demo", "overlay/", "overlay/a b", "overlay/.."} {
		if name, ok := service.Overlaid(k); ok {
			t.Errorf("%s is over a service called %q", k, name)
		}
	}
}

// TestOverlaysComeBack: what was encoded is read as it was, and has the same text again.
func TestOverlaysComeBack(t *testing.T) {
	weight := rapid.Ptr(rapid.IntRange(0, service.MaxWeight), true)
	state := rapid.SampledFrom([]service.State{"", service.Ready, service.Drain, service.Maint})
	setting := rapid.Custom(func(t *rapid.T) service.Setting {
		return service.Setting{State: state.Draw(t, "state"), Weight: weight.Draw(t, "weight")}
	})
	server := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.1:80", "fd00::1", "[fd00::1]:80", "api", "api:80", "API.test:1"})
	rapid.Check(t, func(t *rapid.T) {
		o := service.Overlay{
			Setting:      setting.Draw(t, "all"),
			Destinations: rapid.MapOfN(rapid.IntRange(0, service.MaxIndex), setting, 0, 3).Draw(t, "destinations"),
			Servers:      rapid.MapOfN(server, setting, 0, 4).Draw(t, "servers"),
		}
		text, err := o.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		comesBack(t, text)
	})
}

func comesBack(t rapid.TB, text []byte) {
	if text == nil {
		return
	}
	strict, err := service.ParseOverlay(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	lenient, err := service.DecodeOverlay(text)
	if diff := cmp.Diff(strict, lenient); err != nil || diff != "" {
		t.Fatalf("%s: %v %s", text, err, diff)
	}
	again, err := strict.Canonical()
	if err != nil || !slices.Equal(again, text) {
		t.Fatalf("%s became %s (%v)", text, again, err)
	}
}

// FuzzOverlay: no document makes the decoder panic, errors are one line, and what is valid is stable.
func FuzzOverlay(f *testing.F) {
	f.Add([]byte(`{"state":"drain","weight":3,"destinations":{"1":{"state":"maint"}},"servers":{"[fd00::1]:80":{"weight":0}}}`))
	f.Add([]byte(`{"servers":{"A.test:080":{"state":"ready"},"\n":{}}}`))
	f.Add([]byte(`{"what":"\u2028"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, read := range []func([]byte) (service.Overlay, error){service.ParseOverlay, service.DecodeOverlay} {
			o, err := read(data)
			if err != nil {
				if strings.ContainsAny(err.Error(), "\n\r") {
					t.Fatalf("%q", err)
				}
				continue
			}
			text, err := o.Canonical()
			if err != nil && len(data) < service.MaxEncoded/4 {
				t.Fatal(err)
			}
			comesBack(t, text)
		}
	})
}
