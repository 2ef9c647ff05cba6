package proxy

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// setting is a local input that is written into the configuration as it is, so that only
// HAProxy can judge all of it.
type setting struct {
	// name is what the operator calls it, remedy what to write instead.
	name, remedy string
	// text is what is written of it.
	text func(o *Options) []string
	// take copies it, with what makes it take effect.
	take func(to, from *Options)
	// problem, if not nil, tells what is wrong without asking HAProxy; "" for nothing.
	problem func(o *Options) string
}

// settings are in an order in which each may use what those before it define.
func settings() []setting {
	return []setting{
		{
			name: "--bind-addr (SLUICE_BIND_ADDR)", remedy: "give an address of this machine, or * for all",
			text: func(o *Options) []string { return []string{o.BindAddr} },
			problem: func(o *Options) string {
				if o.BindAddr == "" { // all
					return ""
				}
				return addrProblem(o.BindAddr)
			},
			take: func(to, from *Options) {
				to.BindAddr, to.Binds = from.BindAddr, slices.Clone(to.Binds)
				for i := range to.Binds {
					to.Binds[i].Addr = from.BindAddr
				}
			},
		},
		rawLines("EXTRA_GLOBAL", "give lines of HAProxy's section global, a comma between two", func(o *Options) *[]string { return &o.ExtraGlobal }),
		rawText("SSL_BIND_OPTIONS", "give words of HAProxy's ssl-default-bind-options, e.g. ssl-min-ver TLSv1.2", func(o *Options) *string { return &o.SSLBindOptions }),
		rawText("SSL_BIND_CIPHERS", "give OpenSSL's names of ciphers, a colon between two", func(o *Options) *string { return &o.SSLBindCiphers }),
		rawLines("RESOLVERS", "give lines of HAProxy's section resolvers, e.g. nameserver dns 127.0.0.11:53", func(o *Options) *[]string { return &o.Resolvers }),
		compressionAlgo(),
		rawText("COMPRESSION_TYPE", "give MIME types, a blank between two, e.g. text/html text/css", func(o *Options) *string { return &o.CompressionType }),
		ports(DefaultPorts),
		ports(BindPorts),
		readable(rawText("CA_FILE", "name a PEM file with certificates of authorities", func(o *Options) *string { return &o.CAFile })),
		readable(rawText("CRT_LIST_PATH", "name a list of certificates that exist, one a line", func(o *Options) *string { return &o.CrtList })),
		capture(),
		rawLines("EXTRA_FRONTEND", "give lines of HAProxy's section frontend, a comma between two", func(o *Options) *[]string { return &o.ExtraFrontend }),
		logged(rawText("DEBUG_HTTP_FORMAT", "use the variables of HAProxy's log-format, or leave it out", func(o *Options) *string { return &o.AccessLog.HTTPFormat })),
		logged(rawText("DEBUG_TCP_FORMAT", "use the variables of HAProxy's log-format, or leave it out", func(o *Options) *string { return &o.AccessLog.TCPFormat })),
	}
}

// check tells what can be told without HAProxy.
func (s *setting) check(o *Options) error {
	problem := ""
	for _, text := range s.text(o) {
		if strings.ContainsAny(text, "\r\n\x00") {
			problem = "a line holds a line break or NUL"
		}
	}
	if problem == "" && s.problem != nil {
		problem = s.problem(o)
	}
	if problem == "" {
		return nil
	}
	return s.blame(problem)
}

func (s *setting) blame(problem string) error {
	return fmt.Errorf("%s: %s; %s", s.name, problem, s.remedy)
}

func rawText(name, remedy string, field func(*Options) *string) setting {
	return setting{
		name: name, remedy: remedy,
		text: func(o *Options) []string { return []string{*field(o)} },
		take: func(to, from *Options) { *field(to) = *field(from) },
	}
}

func rawLines(name, remedy string, field func(*Options) *[]string) setting {
	return setting{
		name: name, remedy: remedy,
		text: func(o *Options) []string { return *field(o) },
		take: func(to, from *Options) { *field(to) = *field(from) },
	}
}

func compressionAlgo() setting {
	known := []string{"identity", "gzip", "deflate", "raw-deflate"}
	s := rawText("COMPRESSION_ALGO", "use "+strings.Join(known, ", ")+", a blank between two", func(o *Options) *string { return &o.CompressionAlgo })
	s.problem = func(o *Options) string {
		for _, word := range strings.Fields(o.CompressionAlgo) {
			if !slices.Contains(known, word) {
				return fmt.Sprintf("%.40q is no algorithm", word)
			}
		}
		return ""
	}
	return s
}

func capture() setting {
	s := rawLines("CAPTURE_REQUEST_HEADER", "write Name:length, a comma between two", func(o *Options) *[]string { return &o.CaptureRequestHeader })
	s.problem = func(o *Options) string {
		for _, item := range o.CaptureRequestHeader {
			if !captureItem.MatchString(item) {
				return fmt.Sprintf("%.80q is not a header with a length", item)
			}
		}
		return ""
	}
	return s
}

// ports are the binds that one list of ports names. One without an address of its own has
// the other's.
func ports(name string) setting {
	mine := func(b Bind) bool { return b.Setting == name }
	return setting{
		name: name, remedy: "behind a port and a blank give words of HAProxy's bind, e.g. accept-proxy",
		text: func(o *Options) (texts []string) {
			for _, b := range o.Binds {
				if mine(b) {
					texts = append(texts, b.Addr, b.Options)
				}
			}
			return texts
		},
		take: func(to, from *Options) {
			to.Binds = slices.DeleteFunc(slices.Clone(to.Binds), mine)
			for _, b := range from.Binds {
				if b.Addr == from.BindAddr {
					b.Addr = to.BindAddr
				}
				if mine(b) {
					to.Binds = append(to.Binds, b)
				}
			}
		},
	}
}

// readable makes sure that the file that a setting names can be read.
func readable(s setting) setting {
	s.problem = func(o *Options) string {
		path := s.text(o)[0]
		if path == "" {
			return ""
		}
		f, err := os.Open(path)
		if err != nil {
			return fmt.Sprintf("it cannot be read (%v)", err)
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return fmt.Sprintf("%.200q is not a file", path)
		}
		return ""
	}
	return s
}

// logged makes a format take effect.
func logged(s setting) setting {
	take := s.take
	s.take = func(to, from *Options) {
		take(to, from)
		to.AccessLog.Enabled = from.AccessLog.Enabled
	}
	return s
}
