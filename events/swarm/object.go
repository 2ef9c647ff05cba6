package swarm

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/crdt/service"
)

// Object is something of Docker that asks for a route.
type Object struct {
	Name   string
	Source service.Source
	Params url.Values
	// Remove: it was scaled to nothing, so there is nothing to route to.
	Remove bool
	// Runs: something of it takes requests, so that a route makes sense.
	Runs bool
	// Created decides between objects of one name: the older has it.
	Created time.Time
	// Its labels have not changed after Updated. They are as they are since Relabelled, or
	// since a time after that.
	Updated, Relabelled time.Time
	// Asked is Relabelled, or later: it was scaled from nothing.
	Asked time.Time
	Tasks service.Tasks
	// Secrets is a digest of the parameters that are secret; empty: there are none. It stays
	// here: beside the rest, in the log, it would let anybody try passwords.
	Secrets string
	// Invalid is why its labels cannot be announced at all.
	Invalid string
	// Unknown are labels that mean nothing, with what may have been meant.
	Unknown []string
}

// Seen is one answer of Docker, whole or not at all.
type Seen struct {
	Kind, Cluster string
	// Objects are those that ask for a route, sorted by name.
	Objects []Object
	// IDs are those of everything that there is, with or without labels.
	IDs map[string]bool
	// Moving: tasks start or stop, so that a look in a moment will show something else.
	Moving bool
}

// Digest is equal for answers that say the same.
func (s *Seen) Digest() string {
	data, err := json.Marshal(s)
	if err != nil {
		return "" // cannot happen: plain data
	}
	return digest(string(data))
}

func digest(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// digestOf is that of the parameters that pick takes. The number of replicas is in none,
// since no label says it.
func digestOf(params url.Values, pick func(name string) bool) string {
	texts := make([]string, 0, len(params))
	for name := range params {
		if name != "replicas" && pick(name) {
			texts = append(texts, name+"="+params.Get(name))
		}
	}
	if len(texts) == 0 {
		return ""
	}
	slices.Sort(texts)
	return digest(texts...)
}

// replicas is the number that is announced, "" for none.
func (o *Object) replicas() string { return o.Params.Get("replicas") }

// asks is equal for objects that ask for the same.
func (o *Object) asks() string {
	return digest(o.Source.Cluster, o.Source.ID, o.Source.Labels, o.Secrets, o.replicas(), strconv.FormatBool(o.Remove), o.Invalid)
}

// usesTasks reports whether the definition balances over tasks instead of the name.
func usesTasks(params url.Values) bool {
	s := definition(params)
	grouped := func(d service.Destination) bool { return d.ServiceGroup != "" }
	return s.SessionType != "" || s.DiscoveryType == "DNS" || slices.ContainsFunc(s.Destinations, grouped)
}

// texts are the sorted addresses as text, at most as many as a list may have.
func texts(addrs []netip.Addr) []string {
	addrs = slices.Clone(addrs)
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	var list []string
	for _, addr := range addrs[:min(len(addrs), service.MaxTasks)] {
		list = append(list, addr.String())
	}
	return list
}

func sortObjects(list []Object) {
	slices.SortFunc(list, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Created.Compare(b.Created), cmp.Compare(a.Source.ID, b.Source.ID))
	})
}
