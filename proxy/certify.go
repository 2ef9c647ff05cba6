package proxy

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
)

// presentedCert is a certificate as the worker holds it.
type presentedCert struct {
	path string
	// chain tells versions apart: a new key has a new certificate.
	chain    []byte
	subjects []string
}

// presents are the certificates of a shape as a worker that has loaded it holds them.
func presents(s *shape) []presentedCert {
	list := make([]presentedCert, len(s.certificates))
	for i, c := range s.certificates {
		list[i] = presentedCert{c.Path, c.Chain, c.Subjects}
	}
	return list
}

// certify plans the certificates that differ. The default one, and what HAProxy would look
// for in another order than it finds it after a load, is left to a load.
func (l *live) certify(m *Model, p *plan) {
	want := presents(m.shape())
	if slices.EqualFunc(l.certs, want, presentedCert.same) {
		return
	}
	if why := l.uncertifiable(m.options, want); why != "" {
		p.needLoad(why)
		return
	}
	var list []command
	for i := range want {
		have := slices.IndexFunc(l.certs, func(c presentedCert) bool { return c.path == want[i].path })
		if have >= 0 && l.certs[have].same(want[i]) {
			continue
		}
		data, err := l.bundle(m, want[i].path)
		if err != nil {
			p.needLoad(err.Error())
			return
		}
		list = append(list, putCertificate(want[i].path, data, have < 0)...)
	}
	for _, c := range l.certs {
		if !slices.ContainsFunc(want, func(o presentedCert) bool { return o.path == c.path }) {
			list = append(list, deleteCertificate(c.path)...)
		}
	}
	p.commands = append(p.commands, list...)
	l.certs, l.drifted, p.certified = want, true, true
}

func (c presentedCert) same(o presentedCert) bool {
	return c.path == o.path && bytes.Equal(c.chain, o.chain)
}

// uncertifiable says why the certificates cannot become those wanted before a load.
func (l *live) uncertifiable(o *Options, want []presentedCert) string {
	switch {
	case o.CrtList != "":
		return "the operator's own list of certificates"
	case len(l.certs) == 0 || len(want) == 0 || !l.certs[0].same(want[0]):
		return "the default certificate"
	}
	known := make(map[string]bool, len(l.certs))
	for _, c := range l.certs {
		known[c.path] = true
	}
	for i, c := range want {
		if !known[c.path] && !plainPath(c.path) {
			return "certificate " + c.path
		}
		for _, later := range want[i+1:] {
			if !known[c.path] && slices.ContainsFunc(c.subjects, func(s string) bool { return slices.Contains(later.subjects, s) }) {
				return fmt.Sprintf("certificate %s comes before %s, which is for the same names", c.path, later.path)
			}
		}
	}
	return ""
}

// bundle is the text of a certificate that fits into a command.
func (l *live) bundle(m *Model, path string) ([]byte, error) {
	var data []byte
	at := slices.IndexFunc(m.shape().certFiles, func(f File) bool { return f.Name == path })
	if at >= 0 {
		data = m.shape().certFiles[at].Data
	} else {
		var err error
		if data, err = l.readFile(path); err != nil {
			return nil, err
		}
	}
	data = blocksOf(data)
	if len(data) > maxPayload {
		return nil, fmt.Errorf("certificate %s is too long for a command", path)
	}
	return data, nil
}

// blocksOf keeps the PEM blocks, with no empty line between them: that would end a payload.
func blocksOf(data []byte) []byte {
	var b bytes.Buffer
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		block.Headers = nil
		b.Write(pem.EncodeToMemory(block))
	}
	return b.Bytes()
}

// putCertificate presents a certificate, or a new version of one.
func putCertificate(path string, data []byte, isNew bool) []command {
	var list []command
	if isNew {
		list = append(list, command{text: "new ssl cert " + path})
	}
	list = append(list,
		command{text: "set ssl cert " + path + " <<\n" + string(data), wants: "ransaction"},
		command{text: "commit ssl cert " + path, wants: "Success!"})
	if isNew {
		list = append(list, command{text: "add ssl crt-list " + crtListFile + " " + path, wants: "Success!"})
	}
	return list
}

func deleteCertificate(path string) []command {
	return []command{{text: "del ssl crt-list " + crtListFile + " " + path}, {text: "del ssl cert " + path}}
}

// plainPath matches the paths that can stand within a command as they are.
func plainPath(path string) bool { return plainKey.MatchString(path) && !strings.Contains(path, "..") }
