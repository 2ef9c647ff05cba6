package proxy

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const (
	// expiryNotice is how long before its end a certificate is warned about, once a day.
	expiryNotice = 14 * 24 * time.Hour
	warnEvery    = 24 * time.Hour
	// maxExpiries bounds the metric's label values.
	maxExpiries = 1000
)

// presented holds what HAProxy presents and shows when it ends, as a metric and in the
// log. Safe for concurrent use.
type presented struct {
	expiry *prometheus.Desc

	mu     sync.Mutex
	list   []Certificate
	warned map[string]time.Time // by name
}

var _ prometheus.Collector = (*presented)(nil)

func newPresented() *presented {
	return &presented{
		expiry: prometheus.NewDesc("sluice_certificate_expiry_seconds",
			"Time until the certificate ends; negative once it has. Of several with one name the one that ends first.", []string{"name"}, nil),
		warned: map[string]time.Time{},
	}
}

func (p *presented) all() []Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list
}

// set takes in what is presented now and warns about what ends soon.
func (p *presented) set(list []Certificate, now time.Time, log zerolog.Logger) {
	for _, c := range p.replace(list, now) {
		log.Warn().Str("certificate", c.Name).Time("ends", c.NotAfter).Stringer("left", c.NotAfter.Sub(now).Round(time.Minute)).
			Msg("certificate ends soon: send a new one")
	}
}

// replace returns those that are due for a warning.
func (p *presented) replace(list []Certificate, now time.Time) []Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = list
	var due []Certificate
	warned := map[string]time.Time{}
	for _, c := range list {
		if c.NotAfter.Sub(now) > expiryNotice {
			continue
		}
		last, known := p.warned[c.Name]
		if _, seen := warned[c.Name]; seen {
			continue
		}
		if !known || now.Sub(last) >= warnEvery {
			due = append(due, c)
			last = now
		}
		warned[c.Name] = last
	}
	p.warned = warned
	return due
}

// Describe implements prometheus.Collector.
func (p *presented) Describe(ch chan<- *prometheus.Desc) { ch <- p.expiry }

// Collect implements prometheus.Collector.
func (p *presented) Collect(ch chan<- prometheus.Metric) {
	first := map[string]time.Time{}
	for _, c := range p.all() {
		name := strings.ToValidUTF8(c.Name, "?") // file names may hold anything
		ends, known := first[name]
		if !known && len(first) >= maxExpiries {
			continue
		}
		if !known || c.NotAfter.Before(ends) {
			first[name] = c.NotAfter
		}
	}
	for name, ends := range first {
		ch <- prometheus.MustNewConstMetric(p.expiry, prometheus.GaugeValue, time.Until(ends).Seconds(), name)
	}
}
