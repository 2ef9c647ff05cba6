package haproxy_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// TestHostilePathsOnTheSocket: whatever a path holds, the commands that add, change and
// remove it in HAProxy do that and nothing else.
func TestHostilePathsOnTheSocket(t *testing.T) {
	r := newRig(t)
	a, b := echo(t, "a"), echo(t, "b")
	r.reconfigure("serviceName=bystander&servicePath=/bystander&outboundHostname=127.0.0.1&port=" + a)
	before := r.held()
	paths := []string{
		";", ";show/info", "a;clear", "\\", `a\`, `\;`, `\n`, `\x41`, `"`, "'", `'\''`, "#", "a#b", "#1", "$HOME", "%", "%0a", "%[src]", "{{.}}", "{", "}", "<<", "<<EOF",
		"@1", "@master", "!", "|", "&", "*", "(", ")", "[", "]", "+", "=", "~", "`id`", "é", "\U0001f600", "..", "//", "-", "--", "-f", ":", "?", "^", strings.Repeat("x", 8000),
	}
	name := func(i int) string { return fmt.Sprintf("s%d", i) }
	query := func(i int, port string) string {
		return url.Values{"serviceName": {name(i)}, "servicePath": {"/" + paths[i]}, "outboundHostname": {"127.0.0.1"}, "port": {port}}.Encode()
	}
	holds := func(port string) {
		t.Helper()
		r.agrees()
		held := r.held()
		for i, path := range paths {
			want := fmt.Sprintf("%s-be%s_0", name(i), port)
			if got := held["maps/routes-any.map /"+path]; got != want {
				t.Errorf("/%.20s leads to %q, want %q", path, got, want)
			}
		}
		if want := len(before) + len(paths); len(held) != want {
			t.Errorf("%d lines, want %d", len(held), want)
		}
	}
	var last uint64
	for i := range paths {
		last = r.publish(query(i, a))
	}
	r.live(last)
	holds(a)
	for i := range paths {
		last = r.publish(query(i, b))
	}
	r.live(last)
	holds(b)
	for i := range paths {
		last = r.source.remove(name(i))
	}
	r.live(last)
	r.agrees()
	if after := r.held(); len(after) != len(before) {
		t.Errorf("%d lines are left, want %d", len(after), len(before))
	}
	r.goes(call{path: "/bystander"}, "a")
}
