package main

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"sluice/cmd/internal/node"
	"sluice/crdt/service"
)

// serviceVariable is DFP_SERVICE_[<n>_]<parameter>[_<index>].
var serviceVariable = regexp.MustCompile(`^DFP_SERVICE_(?:([0-9]{1,6})_)?([A-Z][A-Z_]*?)(?:_([0-9]{1,6}))?$`)

// defaultProtocol is the mode of services of the environment that name none.
const defaultProtocol = "DEFAULT_PROTOCOL"

// applyServices reads the services of the environment: one without number, and any with. mode
// is for those that have none; "": HTTP.
func applyServices(c *node.Config, env variables, mode string) {
	parameters := map[string]string{}
	for _, p := range service.Parameters() {
		parameters[constantCase(p.Name)] = p.Name
		if p.Old != "" {
			parameters[constantCase(p.Old)] = p.Old
		}
	}
	found := map[int]*node.Local{}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !strings.HasPrefix(name, "DFP_SERVICE_") || env[name] == "" {
			continue
		}
		parts := serviceVariable.FindStringSubmatch(name)
		if parts == nil || parameters[parts[2]] == "" {
			c.Warnings = append(c.Warnings, name+" has no effect: there is no such parameter of a service")
			continue
		}
		group, _ := strconv.Atoi(parts[1]) // digits or nothing, which is 0
		local := found[group]
		if local == nil {
			local = &node.Local{Query: url.Values{}, Variables: map[string]string{}}
			found[group] = local
		}
		param := parameters[parts[2]]
		if index, _ := strconv.Atoi(parts[3]); index > 0 {
			param += "." + strconv.Itoa(index)
		}
		local.Query.Set(param, env[name])
		local.Variables[param] = name
	}
	for _, group := range slices.Sorted(maps.Keys(found)) {
		c.Local = append(c.Local, completed(found[group], group, mode))
	}
}

// completed adds what Docker Flow Proxy assumes of services of the environment: they are
// there whatever their number of replicas is.
func completed(l *node.Local, group int, mode string) node.Local {
	l.Prefix = "DFP_SERVICE_"
	if group > 0 {
		l.Prefix += strconv.Itoa(group) + "_"
	}
	if l.Query.Get("replicas") == "0" {
		l.Query.Del("replicas")
	}
	if mode != "" && !l.Query.Has("reqMode") {
		l.Query.Set("reqMode", mode)
		l.Variables["reqMode"] = defaultProtocol
	}
	return *l
}

// constantCase writes servicePath as SERVICE_PATH.
func constantCase(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}
