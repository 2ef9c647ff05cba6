package proxy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/crdt/service"
)

// templateData is what a custom template sees: the field names that Docker Flow Proxy's
// templates use. Header operations are quoted for the line that they are written to.
type templateData struct {
	service.DockerFlow
	Host  string
	Users []templateUser
}

// templateUser has the password that a user list of HAProxy needs, where there is one.
type templateUser struct {
	service.DockerFlowUser
	// Password is a crypt(3) hash. Of other users only a digest is known, so it is one that no
	// password has.
	Password string
}

const noPassword = "!"

func (s *shape) templateData(svc *service.Service, section string) templateData {
	data := templateData{DockerFlow: service.NewDockerFlow(svc)}
	data.AclName = section
	data.AddReqHeader, data.SetReqHeader = headerWords(svc.AddReqHeader), headerWords(svc.SetReqHeader)
	data.AddResHeader, data.SetResHeader = headerWords(svc.AddResHeader), headerWords(svc.SetResHeader)
	for _, u := range svc.Users {
		data.Users = append(data.Users, templateUser{service.DockerFlowUser{Username: u.Name, PassEncrypted: true}, cmp.Or(u.Crypt, noPassword)})
	}
	if svc.SessionType != "" {
		for _, addr := range s.view.addresses(tasksOf(svc.Name)) {
			data.Tasks = append(data.Tasks, addr.String())
		}
		slices.Sort(data.Tasks)
	}
	for i := range svc.Destinations {
		data.Host = svc.Host(&svc.Destinations[i])
		templateDest(&data.ServiceDest[i], svc, data.Host)
	}
	return data
}

// templateDest completes d with what Docker Flow Proxy worked out before it rendered.
func templateDest(d *service.DockerFlowDest, svc *service.Service, host string) {
	d.OutboundHostname = host
	if d.ReqMode == string(service.HTTP) {
		d.PathType = cmp.Or(d.PathType, "path_beg")
	}
	d.SrcPortAcl, d.SrcPortAclName = sourcePort("srcPort", svc.Name, d.SrcPort, d.Index)
	d.SrcHttpsPortAcl, d.SrcHttpsPortAclName = sourcePort("srcHttpsPort", svc.Name, d.SrcHttpsPort, d.Index)
	d.IncludeSrcPortACL, d.IncludeSrcHttpsPortACL = d.SrcPort > 0, d.SrcHttpsPort > 0
	if len(d.UserAgent.Value) > 0 {
		d.UserAgent.AclName = fmt.Sprintf("user_agent_%s_%d", svc.Name, d.Index)
	}
}

// sourcePort is the line of an ACL for an entry port, and the blank and the name to follow "if".
func sourcePort(kind, name string, port, index int) (line, reference string) {
	if port == 0 {
		return "", ""
	}
	acl := kind + "_" + name + strconv.Itoa(port) + "_" + strconv.Itoa(index)
	return fmt.Sprintf("\n    acl %s dst_port %d", acl, port), " " + acl
}

// headerWords are what follows http-request add-header and the like.
func headerWords(list []service.Header) []string {
	var lines []string
	for _, h := range list {
		lines = append(lines, strings.TrimSpace(strings.Join([]string{quote(h.Name), format(h), h.Condition}, " ")))
	}
	return lines
}
