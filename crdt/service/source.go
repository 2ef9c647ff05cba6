package service

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// Kinds of a Source.
const (
	SwarmSource  = "swarm"  // a service of a Swarm
	DockerSource = "docker" // containers of one Docker host
)

// Source is what a watcher made a definition from, and so whose it is: a definition
// without one was made by somebody else. What is served depends on it only where it is containers:
// these are reached by the addresses of Tasks, not by name.
type Source struct {
	// Kind is SwarmSource or DockerSource.
	Kind string `json:"kind"`
	// Cluster is the id of the Swarm, or of the Docker host.
	Cluster string `json:"cluster"`
	// ID is Docker's id of the service; of containers, what they are found by.
	ID string `json:"id"`
	// Version is Docker's version index of the service; 0: containers have none.
	Version uint64 `json:"version,omitempty"`
	// Labels is a digest of the labels as they were announced.
	Labels string `json:"labels"`
}

var sourceText = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,300}$`)

// ParseSource reads a source as JSON. Errors: Errors naming source.
func ParseSource(data []byte) (*Source, error) {
	var p problems
	var s Source
	if err := json.Unmarshal(data, &s); err != nil {
		p.add("source", "", fault{"is not JSON", "send an object"})
		return nil, p.err()
	}
	s.judge(&p)
	if err := p.err(); err != nil {
		return nil, err
	}
	return &s, nil
}

func (s *Source) judge(p *problems) {
	if s == nil {
		return
	}
	p.text("source.kind", s.Kind, oneOf(SwarmSource, DockerSource))
	for _, f := range []struct{ name, text string }{{"cluster", s.Cluster}, {"id", s.ID}, {"labels", s.Labels}} {
		if !sourceText.MatchString(f.text) {
			p.add("source."+f.name, f.text, fault{"is no identifier", "use 1 to 300 letters, digits and _.:/-"})
		}
	}
}

// Owner is what does not change while Docker's object lives.
func (s *Source) Owner() Source {
	if s == nil {
		return Source{}
	}
	return Source{Kind: s.Kind, Cluster: s.Cluster, ID: s.ID}
}

// content is all but the version.
func (s *Source) content() Source {
	c := s.Owner()
	if s != nil {
		c.Labels = s.Labels
	}
	return c
}

// Redundant reports whether the canonical document proposed changes nothing of current, so
// that it need not be published: they mean the same, and where proposed has a source, it is
// the same object of Docker with the same labels. Its version does not count.
func Redundant(current, proposed []byte) bool {
	if EqualEncoded(current, proposed) {
		return true
	}
	if !bytes.Contains(current, []byte(`"source"`)) && !bytes.Contains(proposed, []byte(`"source"`)) {
		return false
	}
	now, errA := Decode(current)
	next, errB := Decode(proposed)
	if errA != nil || errB != nil || next.Source != nil && now.Source.content() != next.Source.content() {
		return false
	}
	now.Source, next.Source = nil, nil
	return Equal(now, next)
}
