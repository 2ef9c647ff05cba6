package proxy

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"text/template"

	"sluice/crdt/service"
)

// templateData is what a custom template sees: the field names that Docker Flow Proxy's
// templates use.
type templateData struct {
	ServiceName, AclName, Host string
	ServiceDest                []templateDest
	IsDefaultBackend           bool
	ConnectionMode             string
}

type templateDest struct {
	Port, OutboundHostname, PathType, ReqMode, UserDef string
	Index, SrcPort, HttpsPort, SrcHttpsPort            int
	ServicePath, ServiceDomain, AllowedMethods         []string
	DeniedMethods, UserAgent                           []string
	TimeoutServer, TimeoutTunnel                       string
	HttpsOnly, SslVerifyNone                           bool
}

// templated renders the services that bring templates of their own. The operator wrote
// those; the definition only names them.
func (s *shape) templated(list []target) {
	done := ""
	for i := range list {
		svc := list[i].svc
		if !list[i].templated() || svc.Name == done {
			continue
		}
		done = svc.Name
		front, err := s.execute(svc, svc.TemplateFePath, list[i].section)
		if err != nil {
			s.refuse(svc, "templateFePath", "%v", err)
			continue
		}
		back, err := s.execute(svc, svc.TemplateBePath, list[i].section)
		if err != nil {
			s.refuse(svc, "templateBePath", "%v", err)
			continue
		}
		s.templates = append(s.templates, front)
		s.raw = append(s.raw, back)
	}
}

func (s *shape) execute(svc *service.Service, name, section string) (string, error) {
	if name == "" {
		return "", nil
	}
	if s.view.Template == nil {
		return "", fmt.Errorf("templates are not allowed here: start with --templates-dir")
	}
	source, err := s.view.Template(name)
	if err != nil {
		return "", fmt.Errorf("read template: %w", err)
	}
	tmpl, err := template.New(name).Parse(source)
	if err != nil {
		return "", fmt.Errorf("parse template: %w", err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, newTemplateData(svc, section)); err != nil {
		return "", fmt.Errorf("execute template: %w", err)
	}
	return strings.TrimRight(out.String(), "\n") + "\n", nil
}

func newTemplateData(s *service.Service, section string) templateData {
	data := templateData{
		ServiceName: s.Name, AclName: section, IsDefaultBackend: s.IsDefaultBackend, ConnectionMode: s.ConnectionMode,
	}
	for i := range s.Destinations {
		d := &s.Destinations[i]
		data.Host = s.Host(d)
		data.ServiceDest = append(data.ServiceDest, templateDest{
			Port: strconv.Itoa(d.Port), OutboundHostname: s.Host(d), PathType: d.PathType, ReqMode: string(d.ReqMode),
			UserDef: d.UserDef, Index: d.Index, SrcPort: d.SrcPort, HttpsPort: d.HTTPSPort, SrcHttpsPort: d.SrcHTTPSPort,
			ServicePath: d.ServicePath, ServiceDomain: d.ServiceDomain, AllowedMethods: d.AllowedMethods,
			DeniedMethods: d.DeniedMethods, UserAgent: d.UserAgent, HttpsOnly: d.HTTPSOnly, SslVerifyNone: d.SSLVerifyNone,
			TimeoutServer: seconds(d.TimeoutServer), TimeoutTunnel: seconds(d.TimeoutTunnel),
		})
	}
	return data
}

func seconds(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
