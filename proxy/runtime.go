package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command brings the worker in step with the model as far as commands can, and remembers
// the versions that are live with them.
func (c *Controller) command(ctx context.Context) (*plan, error) {
	began := time.Now()
	touched := sortedKeys(c.model.touched)
	p := c.live.follow(c.model)
	if c.retryLeaving {
		c.live.retry(p)
		c.retryLeaving = false
	}
	if err := c.execute(ctx, p); err != nil {
		if p.certified { // which of them took effect is not read again: a load makes sure
			c.live.certs = nil
		}
		return p, err
	}
	for _, name := range p.vacated {
		c.live.vacate(name)
	}
	if !p.empty() {
		c.metrics.applied("ok", time.Since(began))
		c.changed, c.unwritten = time.Now(), true
	}
	c.keep(slices.DeleteFunc(touched, func(name string) bool { return c.model.hasTouched(name) }))
	return p, nil
}

func (m *Model) hasTouched(name string) bool {
	_, touched := m.touched[name]
	return touched
}

// execute does what is planned, in order.
func (c *Controller) execute(ctx context.Context, p *plan) error {
	if err := c.exec(ctx, p.commands); err != nil {
		return err
	}
	for _, b := range p.bulk {
		if err := c.replaceMap(ctx, b); err != nil {
			return err
		}
	}
	return c.exec(ctx, p.after)
}

// exec sends commands and looks at every answer. The error tells the first refusal.
func (c *Controller) exec(ctx context.Context, list []command) error {
	if len(list) == 0 {
		return nil
	}
	texts := make([]string, len(list))
	for i := range list {
		texts[i] = list[i].text
	}
	answers, err := c.cfg.Process.Exec(ctx, texts)
	if err != nil {
		return fmt.Errorf("command haproxy: %w", err)
	}
	for i, answer := range answers {
		switch {
		case list[i].done(answer):
		case list[i].refused != nil:
			list[i].refused()
		case err == nil:
			first, _, _ := strings.Cut(list[i].text, "\n")
			err = fmt.Errorf("haproxy refuses %.200q: %.200q", first, answer)
		}
	}
	return err
}

var mapVersion = regexp.MustCompile(`New version created: (\d+)`)

// replaceMap makes all lines of a map new in one step: until the commit, the old ones hold.
func (c *Controller) replaceMap(ctx context.Context, b bulk) error {
	answers, err := c.cfg.Process.Exec(ctx, []string{"prepare map " + b.file})
	if err != nil {
		return fmt.Errorf("prepare map: %w", err)
	}
	found := mapVersion.FindStringSubmatch(answers[0])
	if found == nil {
		return fmt.Errorf("haproxy does not prepare %s: %.200q", b.file, answers[0])
	}
	version := "@" + found[1] + " "
	list := addLines(b.file, version, sortedKeys(b.lines), func(key string) string { return b.lines[key] })
	return c.exec(ctx, append(list, command{text: "commit map " + version + b.file}))
}

// resync reads what the worker really holds and repairs what differs.
func (c *Controller) resync(ctx context.Context) (*plan, error) {
	if err := c.live.read(ctx, c.cfg.Process); err != nil {
		return nil, err
	}
	c.metrics.applied("resync", 0)
	c.model.touchAll()
	c.live.touchLines(c.model)
	if err := c.exec(ctx, c.live.rightServers()); err != nil {
		return nil, err
	}
	p, err := c.command(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(c.live.backends) { // what the command before gave back, and no longer says
		c.live.vacate(name)
	}
	return p, nil
}

// read replaces the mirror's lines and servers by those that the worker tells.
func (l *live) read(ctx context.Context, from Commander) error {
	files := sortedKeys(l.maps)
	commands := []string{"show servers state"}
	if l.can.AddBackend {
		commands = append(commands, "show backend")
	}
	first := len(commands)
	for _, file := range files {
		commands = append(commands, "show map "+file)
	}
	answers, err := from.Exec(ctx, commands)
	if err != nil {
		return fmt.Errorf("read what haproxy holds: %w", err)
	}
	if l.can.AddBackend && !l.readBackends(answers[1]) {
		return errors.New("haproxy has lost a backend that was added")
	}
	for i, file := range files {
		answer := answers[first+i]
		if refusalAnswer.MatchString(answer) {
			return fmt.Errorf("read map %s: %.200q", file, answer)
		}
		l.maps[file] = parseMap(answer)
	}
	return l.readServers(answers[0])
}

// touchLines marks every line of the rules that the worker holds, wanted or not.
func (l *live) touchLines(m *Model) {
	for _, look := range lookups() {
		for key := range l.maps[look.file()] {
			m.routing.touched[mapKey{look, key}] = true
		}
	}
}

// parseMap reads the answer of "show map": reference, key and value on each line. Of two
// lines with one key the first one counts.
func parseMap(text string) map[string]string {
	lines := map[string]string{}
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		key, value, paired := strings.Cut(rest, " ")
		if _, twice := lines[key]; ok && paired && !twice {
			lines[key] = value
		}
	}
	return lines
}

// Columns of "show servers state", format 1.
const (
	stateBackend = 1
	stateServer  = 3
	stateAddr    = 4
	stateAdmin   = 6
	stateWeight  = 7
	statePort    = 18
	stateColumns = 19
)

var errState = errors.New("unknown format of \"show servers state\"")

func (l *live) readServers(text string) error {
	if !strings.HasPrefix(text, "1\n") {
		return fmt.Errorf("%w: %.100q", errState, text)
	}
	found := map[string]map[string]server{}
	l.leaving, l.amiss = nil, nil
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < stateColumns || f[0] == "#" {
			continue
		}
		name := f[stateBackend]
		if found[name] == nil {
			found[name] = map[string]server{}
		}
		srv, ours := l.recognise(name, f)
		if !ours { // a server that should not be there, in a state that is not known
			l.leaving = append(l.leaving, leaver{name, srv})
			continue
		}
		l.amiss = append(l.amiss, srv.amiss(name, f)...)
		found[name][srv.name] = srv
	}
	for name, b := range l.backends {
		b.has = found[name]
		if b.has == nil {
			b.has = map[string]server{}
		}
	}
	return nil
}

// Bits of the administrative state: ordered by a command, or by a word of the configuration.
const (
	forcedMaint = 0x01
	forcedDrain = 0x08
)

// amiss are the commands for what HAProxy tells of the server's state and weight, if that is
// not as it should be.
func (s *server) amiss(backend string, f []string) []command {
	var list []command
	id := backend + "/" + s.name
	admin, err := strconv.Atoi(f[stateAdmin])
	if err != nil || (admin&forcedMaint != 0) != s.maint || admin&forcedDrain != 0 {
		list = append(list, putState(id, s.maint))
	}
	if f[stateWeight] != strconv.Itoa(s.weight) {
		list = append(list, setWeight(id, s.weight))
	}
	return list
}

// recognise completes what HAProxy tells of a server by what is known of it.
func (l *live) recognise(backend string, f []string) (server, bool) {
	srv := server{name: f[stateServer]}
	b := l.backends[backend]
	if b == nil {
		return srv, false
	}
	known, ok := b.has[srv.name]
	if !ok {
		return srv, false
	}
	if known.resolvers {
		return known, true
	}
	known.addr, _ = netip.ParseAddr(f[stateAddr]) // "-" where there is none
	port, err := strconv.Atoi(f[statePort])
	if err != nil {
		return srv, false
	}
	known.port = port
	return known, true
}

// rightServers give servers the state and weight that they should have.
func (l *live) rightServers() []command {
	list := l.amiss
	for _, o := range l.leaving {
		list = append(list, retire(o.String()))
	}
	l.amiss = nil
	return list
}

// low reports whether less than half of the pool is left.
func (l *live) low() bool {
	return l != nil && !l.can.AddBackend && l.size > 0 && 2*len(l.free) < l.size
}
