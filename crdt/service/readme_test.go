package service_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt/service"
)

// TestListsOfTheReadme: what header values may use is what the README lists.
func TestListsOfTheReadme(t *testing.T) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	row := func(before string) []string {
		_, rest, found := strings.Cut(string(data), before)
		if !found {
			t.Fatalf("no %q in the README", before)
		}
		line, _, _ := strings.Cut(rest, "\n")
		var names []string
		for _, m := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(line, -1) {
			names = append(names, strings.Fields(m[1])...)
		}
		return names
	}
	var both, req, res []string
	for _, f := range service.Fetches() {
		switch {
		case f.Request && f.Response:
			both = append(both, f.String())
		case f.Request:
			req = append(req, f.String())
		default:
			res = append(res, f.String())
		}
	}
	for before, want := range map[string][]string{
		"| all values |": both, "| requests |": req, "| responses |": res, "\nConverters:": service.Converters(), "| `%name` |": service.Variables(),
	} {
		if diff := cmp.Diff(want, row(before)); diff != "" {
			t.Errorf("%s: code (-), README (+):\n%s", before, diff)
		}
	}
}

// TestRefusedFetchNamesTheOthers: the remedy of a sample fetch that is not allowed lists those that are.
func TestRefusedFetchNamesTheOthers(t *testing.T) {
	for param, name := range map[string]string{"addReqHeader": "req.fhdr(name)", "addResHeader": "res.cook(name)"} {
		if err := refusal(base(param+"=X-A %[env(HOME)]"), service.Limits{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: no %s in: %v", param, name, err)
		}
	}
}
