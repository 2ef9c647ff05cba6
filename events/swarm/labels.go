package swarm

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"sluice/crdt/service"
)

const (
	paramPrefix    = "com.df."
	stackNamespace = "com.docker.stack.namespace"
)

// Labels of the watcher itself, without prefix; they are no parameters.
const (
	labelShortName     = "shortName"
	labelScrapeNetwork = "scrapeNetwork"
)

// paramHost is the parameter that names the host to reach.
const paramHost = "outboundHostname"

var networkName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$`)

// rules are the settings that decide what labels mean.
type rules struct {
	notify, prefix string
	// secrets are the parameters that are secret, in lower case, as any spelling is read.
	secrets map[string]bool
}

func newRules(notify, prefix string) rules {
	r := rules{notify: notify, prefix: prefix, secrets: map[string]bool{}}
	for _, p := range service.Parameters() {
		if p.Type == service.Secret {
			r.secrets[strings.ToLower(p.Name)] = true
		}
	}
	return r
}

// sign gives an object the digests of its parameters.
func (r rules) sign(o *Object) {
	secret := func(name string) bool { return r.secrets[strings.ToLower(name)] }
	o.Source.Labels = digestOf(o.Params, func(name string) bool { return !secret(name) })
	o.Secrets = digestOf(o.Params, secret)
}

// asked is what labels ask for.
type asked struct {
	name    string
	params  url.Values
	network string // of the tasks' addresses; empty: any
	ownHost bool   // the labels name the host to reach, for every destination
	invalid string
	// unknown are labels that mean nothing.
	unknown []string
}

// read reads the labels of what Docker calls name. It reports false for labels that do not
// ask for a route. parent is what shortName strips: the stack or the project.
func (r rules) read(name, parent string, labels map[string]string) (asked, bool) {
	text, ok := labels[r.notify]
	if !ok {
		return asked{}, false
	}
	a := asked{name: name, params: url.Values{}, unknown: unknown(labels, r.notify)}
	notify, err := boolean(text)
	if err != nil {
		a.refuse(r.notify, text, "is neither true nor false", "use true or false")
	} else if !notify {
		return asked{}, false
	}
	for label, value := range labels {
		param, ok := strings.CutPrefix(label, paramPrefix)
		if ok && param != "" && label != r.notify {
			a.take(param, value)
		}
	}
	a.ownHost = a.params.Get(paramHost) != ""
	a.rename(r, parent, labels[paramPrefix+labelShortName])
	return a, true
}

func (a *asked) take(param, value string) {
	switch param {
	case "notify", labelShortName:
	case labelScrapeNetwork:
		if value != "" && !networkName.MatchString(value) {
			a.refuse(paramPrefix+param, value, "is not the name of a network", "use the name that docker network ls shows")
		}
		a.network = value
	case "serviceName":
		if service.CheckName(value) != nil {
			a.refuse(paramPrefix+param, value, "is not a name", "remove the label, the name is Docker's")
		}
	default:
		a.params.Set(param, value)
	}
}

// rename applies shortName and the prefix.
func (a *asked) rename(r rules, parent, short string) {
	if short != "" {
		strip, err := boolean(short)
		if err != nil {
			a.refuse(paramPrefix+labelShortName, short, "is neither true nor false", "use true or false")
		}
		if strip && parent != "" {
			a.name = strings.TrimPrefix(a.name, parent+"_")
		}
	}
	if r.prefix != "" {
		a.name = r.prefix + "_" + a.name
	}
	a.params.Set("serviceName", a.name)
}

// reach names the host where that is not the name of the route: the whole name of a Swarm's
// service is unique, a shortened one belongs to every stack that has such a service, and one
// with a prefix resolves nowhere. Destinations with a host of their own keep it.
func (a *asked) reach(host string) {
	if a.ownHost || host == a.name {
		return
	}
	if definition(a.params).DiscoveryType == "DNS" {
		host = "tasks." + host // of the virtual address there is only one
	}
	a.params.Set(paramHost, host)
}

// definition is what the API will read from parameters, as far as it can.
func definition(params url.Values) service.Service {
	req, _ := service.Parse(params, service.Defaults{}) // the API tells what is wrong
	return req.Service
}

// replicate tells the number of replicas, which wins over a label unless that is invalid.
func (a *asked) replicate(n uint64) {
	if _, err := strconv.Atoi(strings.TrimSpace(a.params.Get("replicas"))); err == nil || a.params.Get("replicas") == "" {
		a.params.Set("replicas", strconv.FormatUint(n, 10))
	}
}

func (a *asked) refuse(label, value, problem, remedy string) {
	if a.invalid == "" {
		a.invalid = fmt.Sprintf("%s: %.60q %s; %s", label, value, problem, remedy)
	}
}

// boolean takes any spelling of true and false, as Docker Flow Swarm Listener did.
func boolean(text string) (bool, error) {
	return strconv.ParseBool(strings.ToLower(strings.TrimSpace(text)))
}
