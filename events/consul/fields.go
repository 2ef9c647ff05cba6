package consul

import (
	"regexp"
	"strconv"
	"strings"

	"sluice/crdt/service"
)

// Fields is what the mirror shows of one service: "<service>/<field>" to text, the field being
// path, port, domain, pathtype or hostname with ".N" for destination N. Lists are joined by
// commas, what is not given is left out, secrets are none of it.
func Fields(s service.Service) map[string]string {
	out := map[string]string{}
	for _, d := range s.Destinations {
		suffix := ""
		if d.Index > 0 {
			suffix = "." + strconv.Itoa(d.Index)
		}
		for name, value := range map[string]string{
			"path":     strings.Join(d.ServicePath, ","),
			"port":     port(d),
			"domain":   strings.Join(d.ServiceDomain, ","),
			"pathtype": d.PathType,
			"hostname": d.OutboundHostname,
		} {
			if value != "" {
				out[s.Name+"/"+name+suffix] = value
			}
		}
	}
	return out
}

// port is the plain port, or the TLS one where that is the only one.
func port(d service.Destination) string {
	switch {
	case d.Port > 0:
		return strconv.Itoa(d.Port)
	case d.HTTPSPort > 0:
		return strconv.Itoa(d.HTTPSPort)
	default:
		return ""
	}
}

var fieldPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}/(path|port|domain|pathtype|hostname)(\.[1-9][0-9]{0,3})?$`)
