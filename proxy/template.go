package proxy

import (
	"bytes"
	"fmt"
	"strings"
	"text/template"

	"sluice/crdt/service"
)

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
	if err := tmpl.Execute(&out, s.templateData(svc, section)); err != nil {
		return "", fmt.Errorf("execute template: %w", err)
	}
	return strings.TrimRight(out.String(), "\n") + "\n", nil
}
