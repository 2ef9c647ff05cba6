package proxy_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSplitLine(t *testing.T) {
	for line, want := range map[string][]string{
		"":                              nil,
		"   # nothing":                  nil,
		"  a  b\tc ":                    {"a", "b", "c"},
		"a#b c":                         {"a"},
		`a\#b 'c#d' "e#f"`:              {"a#b", "c#d", "e#f"},
		`'a b'\ "c d"'e'`:               {"a b c de"},
		`'it'\''s'`:                     {"it's"},
		`'\n\t\\' "\n" \x41 \q`:         {`\n\t\\`, "\n", "A", `\q`},
		`'$HOME' \$HOME $HOME "\$HOME"`: {"$HOME", "$HOME", "$HOME", "$HOME"},
		`'' "" x`:                       {"", "", "x"},
		"a\rb":                          {"a"},
		`'"' "'" \' \"`:                 {`"`, "'", "'", `"`},
		"\u00e9 \u2028":                 {"\u00e9", "\u2028"},
	} {
		got, err := splitLine(line)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got)\n%s", line, err, diff)
		}
	}
	for _, line := range []string{`'a`, `"a`, `"$HOME"`, "a\x00b", `\x4`, `\xzz`} {
		if got, err := splitLine(line); err == nil {
			t.Errorf("%q became %q", line, got)
		}
	}
}

func TestParseConfig(t *testing.T) {
	got, err := parseConfig("# x\nglobal\n  a b\n\nbackend 'x y'\n  c\n 'back'end z\n")
	want := []block{{[]string{"global"}, [][]string{{"a", "b"}}}, {[]string{"backend", "x y"}, [][]string{{"c"}}}, {[]string{"backend", "z"}, nil}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(block{})); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, text := range []string{"global", "a\n", "global\n .if x\n", "global\n a '' b\n", "global\n " + strings.Repeat("w ", 65) + "\n"} {
		if _, err := parseConfig(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestParseMap(t *testing.T) {
	got, err := parseMap("# c\n\n  a b c \n#x y\n")
	if diff := cmp.Diff([][2]string{{"a", "b c"}}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := parseMap("a\n"); err == nil {
		t.Error("a line without value is taken")
	}
}

func TestParseFormat(t *testing.T) {
	got, err := parseFormat("100%% %[src] %%[x] %ci-%{+Q}[src]%{+Q}r")
	want := []piece{{"100% ", false}, {"%[src]", true}, {" %[x] ", false}, {"%ci", true}, {"-", false}, {"%{+Q}[src]", true}, {"%{+Q}r", true}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(piece{})); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, word := range []string{"%cix", "%[src", "%{+Z}[src]", "%{+Q}", "%", "%20"} {
		if _, err := parseFormat(word); err == nil {
			t.Errorf("%q is taken", word)
		}
	}
}

func TestParseExpression(t *testing.T) {
	got, err := parseExpression(`path,regsub('a,)'\''"','',g),lower,concat(|,"x y",\,)`)
	want := []call{{"path", nil}, {"regsub", []string{`a,)'"`, "", "g"}}, {"lower", nil}, {"concat", []string{"|", "x y", ","}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(call{})); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, word := range []string{"a(b", "a('b)", "a(b)c"} {
		if _, err := parseExpression(word); err == nil {
			t.Errorf("%q is taken", word)
		}
	}
}

func TestParseCondition(t *testing.T) {
	got, err := parseCondition(strings.Fields("{ path -- a b } !x or !{ ssl_fc } || ! y"))
	want := []term{{words: []string{"path", "--", "a", "b"}}, {not: true, name: "x"}, {or: true, not: true, words: []string{"ssl_fc"}}, {or: true, not: true, name: "y"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(term{})); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, words := range []string{"{ a", "{ }", "", "a or", "!"} {
		if _, err := parseCondition(strings.Fields(words)); err == nil {
			t.Errorf("%q is taken", words)
		}
	}
}

// TestWordsAreThoseOfHAProxy: HAProxy reads the words of random lines as patterns of an
// ACL and lists them again; a line that splitLine refuses, HAProxy refuses or expands.
func TestWordsAreThoseOfHAProxy(t *testing.T) {
	lines := []string{`'it'\''s' "a b"c\ d\#e#f`, `\x41\q '\x41'`, `"\$HOME" $HOME '$HOME'`, "a\t b  c"}
	random := rand.New(rand.NewPCG(1, 2))
	for len(lines) < 300 {
		var b strings.Builder
		for range 1 + random.IntN(12) {
			b.WriteString([]string{"a", "b", " ", "'", `"`, `\`, "#", "$", "é", `\x41`, `\ `, "'x y'", "%", "{", "}", "\t", `'\''`, "-"}[random.IntN(18)])
		}
		lines = append(lines, b.String())
	}
	want := map[string][]string{}
	var config strings.Builder
	config.WriteString("defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\nbackend f\n")
	for i, line := range lines {
		words, err := splitLine(line)
		if err != nil || len(words) == 0 || slices.Contains(words, "") {
			continue
		}
		want[fmt.Sprintf("line%d", i)] = words
		fmt.Fprintf(&config, " acl a%d var(txn.x) -m str -- line%d %s\n", i, i, line)
	}
	if len(want) < 50 {
		t.Fatalf("only %d of the lines can be read", len(want))
	}
	got := readBack(t, config.String())
	for name, words := range want {
		if diff := cmp.Diff(words, got[name]); diff != "" {
			t.Errorf("%s %q (-want +got)\n%s", name, lines[mustIndex(t, name)], diff)
		}
	}
}

func mustIndex(t *testing.T, name string) int {
	t.Helper()
	var i int
	if _, err := fmt.Sscanf(name, "line%d", &i); err != nil {
		t.Fatal(err)
	}
	return i
}

// readBack starts HAProxy and lists the patterns of every ACL by the first of them.
func readBack(t *testing.T, config string) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	socket, file := filepath.Join(dir, "s"), filepath.Join(dir, "c")
	if err := os.WriteFile(file, []byte("global\n stats socket "+socket+" level admin\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "haproxy", "-db", "-f", file)
	var out strings.Builder
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	patterns := map[string][]string{}
	deadline := time.Now().Add(20 * time.Second)
	for id := 0; ; id++ {
		answer, err := ask(socket, fmt.Sprintf("show acl #%d\n", id))
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("HAProxy ended: %v\n%s", err, out.String())
		default:
		}
		if err != nil {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			id = -1 // it is not up yet
			time.Sleep(5 * time.Millisecond)
			continue
		}
		var words []string
		for line := range strings.SplitSeq(answer, "\n") {
			if _, word, ok := strings.Cut(line, " "); ok && strings.HasPrefix(line, "0x") {
				words = append(words, word)
			}
		}
		if len(words) == 0 {
			return patterns
		}
		patterns[words[0]] = words[1:]
	}
}

func ask(socket, command string) (string, error) {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Write([]byte(command)); err != nil {
		return "", err
	}
	var b strings.Builder
	_, err = bufio.NewReader(c).WriteTo(&b)
	return b.String(), err
}
