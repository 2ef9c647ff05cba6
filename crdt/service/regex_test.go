package service_test

import (
	"testing"

	"sluice/crdt/service"
)

func TestRegularExpressions(t *testing.T) {
	for text, ok := range map[string]bool{
		`^/v[0-9]+/x$`: true, `^/(?!api)(?<n>a|b)(?i:c)\1`: true, `[]a(]`: true, `[^]a(]`: true, `[[:alpha:]\](]`: true,
		`\(\[`: true, `a{1,3}(b{2})`: true, `\Q(\E(a)`: true, `\Q([`: true, `/ü "quoted" \ #`: true, `(?#note)a b`: true,
		`(`: false, `)(`: false, `a)`: false, `[a`: false, `[]`: false, `[[:alpha:]`: false, `a\`: false, `\Q(\E(`: false,
	} {
		s := demo()
		s.Destinations[0].PathType, s.Destinations[0].ServicePath = "path_reg", []string{text}
		if err := s.Validate(service.Limits{}); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
