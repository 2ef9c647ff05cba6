package api_test

import (
	"strings"
	"testing"

	"sluice/events/api"
)

func TestTokensAreCheckedWhenRead(t *testing.T) {
	const good = "0123456789abcdef"
	tests := []struct{ name, text, want string }{
		{"no token", "ci", "line 1: want name:token"},
		{"short", "ok:" + good + "\nci:hunter2", `line 2: the token of "ci" is shorter`},
		{"name twice", "ci:" + good + "\nci:" + good + "2", `line 2: the name "ci" is used twice`},
		{"token twice", "ci:" + good + "\nme:" + good, `line 2: "me" has the same token as "ci"`},
		{"scope", "ci:" + good + ":admin", `line 1: the scope of "ci" must be read or write`},
		{"too many parts", "ci:" + good + ":read:x", "line 1: want name:token"},
		{"name", "c i:" + good, "line 1: the name must be"},
		{"all at once", "a\n\nb", "line 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := api.ParseTokens([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q in it", err, tt.want)
			}
			if strings.Contains(err.Error(), good) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a token: %v", err)
			}
		})
	}
	if list, err := api.ParseTokens([]byte("# none\r\n\r\nci:" + good + "\r\n")); err != nil || list.Len() != 1 {
		t.Errorf("%d tokens, error %v", list.Len(), err)
	}
}

func FuzzParseTokens(f *testing.F) {
	f.Add("ci:0123456789abcdef:read\n# x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if list, err := api.ParseTokens([]byte(text)); err != nil && list.Len() != 0 {
			t.Error("tokens beside an error")
		}
	})
}
