package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice/crdt/service"
)

// listedFiles are the certificate files in a list as HAProxy reads it (its manual, section
// crt-list): the first word of a line, comments aside. Relative ones are in dir.
func listedFiles(text, dir string) []string {
	var files []string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		file := words[0]
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		files = append(files, filepath.Clean(file))
	}
	return files
}

// listed reads the operator's own list of certificates into the view.
func (c *Controller) listed(v *View) {
	if c.options.CrtList == "" {
		return
	}
	text, err := os.ReadFile(c.options.CrtList)
	if err != nil {
		v.Problems = append(v.Problems, fmt.Sprintf("CRT_LIST_PATH: %v", err))
	}
	v.Listed = listedFiles(string(text), c.options.CfgDir)
}

// certifyListed takes the local certificates of the operator's list; HAProxy shows no others.
func (s *shape) certifyListed(parts []*part) {
	for _, c := range s.view.Certificates {
		if slices.Contains(s.view.Listed, filepath.Clean(c.Path)) {
			s.certificates = append(s.certificates, c)
		}
	}
	for _, b := range s.view.Bundles {
		s.note("certificate %s: HAProxy does not show it: it shows those that CRT_LIST_PATH lists", b.Name)
	}
	for _, p := range parts {
		if p.svc.ServiceCert != nil && p.refusal == nil {
			s.note("service %s: serviceCert: HAProxy does not show it: it shows those that CRT_LIST_PATH lists", p.svc.Name)
		}
	}
}

// unlisted refuses a certificate that is sent while the operator lists all there are.
func (o *Options) unlisted(param string) error {
	if o.CrtList == "" {
		return nil
	}
	return service.Errors{{
		Param: param, Problem: "would not be shown: HAProxy shows the certificates that CRT_LIST_PATH lists, " + o.CrtList + ", and no others",
		Remedy: "add the file to that list by hand, or start without CRT_LIST_PATH",
	}}
}
