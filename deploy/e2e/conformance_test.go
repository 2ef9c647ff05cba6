package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// conformanceCase is what users of Docker Flow Proxy rely on; conformance/README.md
// describes the fields.
type conformanceCase struct {
	ID, Area, Why, Compat string
	Env, Secrets          map[string]string
	Certs, Hosts          []string
	Listener              *[]map[string]string
	Setup                 []apiCall
	Requests              []conformanceRequest
	Config                struct {
		Contains    []string
		NotContains []string `json:"not_contains"`
	}
}

// apiCall is one step of the set-up.
type apiCall struct {
	Method, Path, Body string
	Expect             struct {
		Status  any
		WithinS float64 `json:"within_s"`
	}
}

// shared is how many replicas serve the cases that need no settings of their own.
const shared = 6

// TestConformance: every case passes.
func TestConformance(t *testing.T) {
	w := newConformanceWorld(t)
	plain, groups := groupCases(readCases(t))
	queue := make(chan conformanceCase, len(plain))
	for _, c := range plain {
		queue <- c
	}
	close(queue)
	own := make(chan []conformanceCase, len(groups))
	for _, g := range groups {
		own <- g
	}
	close(own)

	// Replicas wait most of the time, so there are more of them than processors.
	var wg sync.WaitGroup
	for i := range shared {
		wg.Go(func() { t.Run(fmt.Sprintf("shared-%d", i), func(t *testing.T) { w.runShared(t, queue) }) })
	}
	for range 2 {
		wg.Go(func() {
			for g := range own {
				t.Run("own", func(t *testing.T) { w.runGroup(t, g) })
			}
		})
	}
	wg.Wait()
}

func readCases(t testing.TB) []conformanceCase {
	t.Helper()
	data, err := os.ReadFile("conformance/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // an expectation that is not understood must not pass
	var all []conformanceCase
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// groupCases parts those that any replica can serve from those that need settings; the
// latter share a replica where the settings are equal.
func groupCases(all []conformanceCase) (plain []conformanceCase, groups [][]conformanceCase) {
	at := map[string]int{}
	for _, c := range all {
		settings := fmt.Sprint(c.Env, c.Secrets, c.Certs, c.Hosts)
		if c.Area == "certs" {
			settings += c.ID // certificates stay when the services are removed
		} else if len(c.Env)+len(c.Secrets)+len(c.Certs)+len(c.Hosts) == 0 {
			plain = append(plain, c)
			continue
		}
		if _, ok := at[settings]; !ok {
			at[settings] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[settings]] = append(groups[at[settings]], c)
	}
	return plain, groups
}

func (w *conformanceWorld) runShared(t *testing.T, queue <-chan conformanceCase) {
	var s *conformanceReplica
	for c := range queue {
		if s == nil {
			s = w.startReplica(t, c)
		}
		s.run(t, c)
	}
}

func (w *conformanceWorld) runGroup(t *testing.T, cases []conformanceCase) {
	s := w.startReplica(t, cases[0])
	for _, c := range cases {
		s.run(t, c)
	}
}

// run runs one case on the replica and removes its services afterwards.
func (s *conformanceReplica) run(t *testing.T, c conformanceCase) {
	t.Run(c.ID, func(t *testing.T) {
		t.Cleanup(func() { s.removeServices(t) })
		defer func() {
			if t.Failed() {
				t.Logf("%s (%s): %s", c.ID, c.Compat, c.Why)
			}
		}()
		if c.Listener != nil {
			answerAsListener(t, *c.Listener)
		}
		for _, call := range c.Setup {
			s.setUp(t, call)
		}
		for _, r := range c.Requests {
			s.try(t, r)
		}
		s.checkConfig(t, c)
	})
}

func (s *conformanceReplica) setUp(t testing.TB, call apiCall) {
	t.Helper()
	want := call.Expect.Status
	if want == nil {
		want = float64(http.StatusOK)
	}
	since := time.Now()
	a := send(t.Context(), call.Method, s.url(patiently(s.fillQuery(call.Path), call.Expect.WithinS)), s.fill(call.Body))
	if err := matchStatus(want, a); err != nil {
		t.Fatalf("set-up %s %s: %v", call.Method, call.Path, err)
	}
	if limit := call.Expect.WithinS; limit > 0 && time.Since(since).Seconds() > limit {
		t.Fatalf("set-up %s took %v, want at most %v s", call.Path, time.Since(since), limit)
	}
}

// patiently lets a change take its time to be live, unless the case says how much it may take.
func patiently(path string, within float64) string {
	endpoint, query, _ := strings.Cut(path, "?")
	changes := slices.Contains([]string{"reconfigure", "remove", "cert"}, endpoint[strings.LastIndexByte(endpoint, '/')+1:])
	if within > 0 || query == "" || !changes {
		return path
	}
	return path + "&timeout=" + patience.String()
}

func (s *conformanceReplica) try(t testing.TB, r conformanceRequest) {
	t.Helper()
	within := patience // a change may be answered before it is live
	if r.Expect.WithinS > 0 {
		within = time.Duration(r.Expect.WithinS * float64(time.Second))
	}
	eventually(t, within, fmt.Sprintf("%s %s on %s %v", r.Method, r.Path, r.Port, r.Headers), func() error {
		return s.match(r, s.do(t, r))
	})
}

// removeServices does not wait: the next change does.
func (s *conformanceReplica) removeServices(t testing.TB) {
	t.Helper()
	a := send(s.t.Context(), http.MethodGet, s.url("/v1/docker-flow-proxy/config?type=json"), "")
	var all map[string]any
	if err := json.Unmarshal([]byte(a.Body), &all); err != nil {
		t.Errorf("list services: %v: %v", a, err)
	}
	for name := range all {
		q := url.Values{"serviceName": {name}, "wait": {"none"}}
		a := send(s.t.Context(), http.MethodGet, s.url("/v1/docker-flow-proxy/remove?"+q.Encode()), "")
		// 409: a service of the replica's environment, which has no other case to disturb.
		if err := matchStatus("200|409", a); err != nil {
			t.Errorf("remove %s: %v", name, err)
		}
	}
}

// answerAsListener is a Swarm listener that knows the given services.
func answerAsListener(t testing.TB, services []map[string]string) {
	t.Helper()
	startServer(t, "127.0.0.9:8080", nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(services); err != nil {
			t.Logf("listener: %v", err)
		}
	}))
}

// writeFiles fills a directory of the replica.
func (s *conformanceReplica) writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, dir, name), []byte(s.fill(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
