package swarm_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/swarm"
)

const cluster = "swarm-1"

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func object(name, id, labels string) swarm.Object {
	return swarm.Object{Name: name, Params: url.Values{"serviceName": {name}}, Runs: true, Created: start, Updated: start, Relabelled: start,
		Source: service.Source{Kind: service.SwarmSource, Cluster: cluster, ID: id, Labels: labels}}
}

// stampAt is a stamp of that many hours after start.
func stampAt(hours int) string {
	return crdt.Stamp{HLC: uint64(start.Add(time.Duration(hours)*time.Hour).UnixMilli()) << 16, Node: 1 << 63}.String()
}

func seen(objects ...swarm.Object) *swarm.Seen {
	s := &swarm.Seen{Kind: service.SwarmSource, Cluster: cluster, Objects: objects, IDs: map[string]bool{"unlabelled": true}}
	for _, o := range objects {
		s.IDs[o.Source.ID] = true
	}
	return s
}

func TestDecide(t *testing.T) {
	own := func(id, labels string) *service.Source {
		return &service.Source{Kind: service.SwarmSource, Cluster: cluster, ID: id, Labels: labels}
	}
	with := func(o swarm.Object, change func(*swarm.Object)) swarm.Object { change(&o); return o }
	two := 2
	for _, tt := range []struct {
		name    string
		objects []swarm.Object
		entry   *swarm.Listed
		memory  swarm.Memory
		want    string
	}{
		{"absent: the log decides", []swarm.Object{object("web", "1", "a")}, nil, swarm.Memory{}, "ask web "},
		{"absent and no task runs", []swarm.Object{with(object("web", "1", "a"), func(o *swarm.Object) { o.Runs = false })}, nil, swarm.Memory{}, ""},
		{"absent and scaled to nothing", []swarm.Object{with(object("web", "1", "a"), func(o *swarm.Object) { o.Remove = true })}, nil, swarm.Memory{}, ""},
		{"own and the same", []swarm.Object{object("web", "1", "a")}, &swarm.Listed{Stamp: "s", Source: own("1", "a")}, swarm.Memory{}, ""},
		{"own, tasks fail", []swarm.Object{with(object("web", "1", "a"), func(o *swarm.Object) { o.Runs = false })}, &swarm.Listed{Stamp: "s", Source: own("1", "a")}, swarm.Memory{}, ""},
		{"own, other labels", []swarm.Object{object("web", "1", "b")}, &swarm.Listed{Stamp: "s", Source: own("1", "a")}, swarm.Memory{}, "announce web s"},
		{"own, made anew", []swarm.Object{object("web", "2", "a")}, &swarm.Listed{Stamp: "s", Source: own("1", "a")}, swarm.Memory{}, "announce web s"},
		{"own, another number of replicas", []swarm.Object{object("web", "1", "a")}, &swarm.Listed{Stamp: "s", Source: own("1", "a"), Replicas: &two}, swarm.Memory{}, "announce web s"},
		{"own, scaled to nothing", []swarm.Object{with(object("web", "1", "a"), func(o *swarm.Object) { o.Remove = true })}, &swarm.Listed{Stamp: "s", Source: own("1", "a")}, swarm.Memory{}, "remove web s confirmed"},
		{"own, invalid labels", []swarm.Object{with(object("web", "1", "b"), func(o *swarm.Object) { o.Invalid = "x" })}, &swarm.Listed{Stamp: "s", Source: own("1", "a")}, swarm.Memory{}, "refuse web s"},
		{"own, with secrets that are not known to be the same", []swarm.Object{with(object("web", "1", "a"), func(o *swarm.Object) { o.Secrets = "x" })}, &swarm.Listed{Stamp: "s", Source: own("1", "a")}, swarm.Memory{}, "announce web s"},
		{"own and gone", nil, &swarm.Listed{Stamp: "s", Source: own("1", "a")}, swarm.Memory{}, "remove web s"},
		{"own, there without label", nil, &swarm.Listed{Stamp: "s", Source: own("unlabelled", "a")}, swarm.Memory{}, "remove web s confirmed"},
		{"own, renamed", []swarm.Object{object("new", "1", "b")}, &swarm.Listed{Stamp: "s", Source: own("1", "a")}, swarm.Memory{}, "ask new ; remove web s confirmed"},
		{"own, renamed to what is refused", []swarm.Object{object("new", "1", "b")}, &swarm.Listed{Stamp: "s", Source: own("1", "a")}, swarm.Memory{Refused: true}, "ask new "},
		{"a person's: the log decides", []swarm.Object{object("web", "1", "a")}, &swarm.Listed{Stamp: "s"}, swarm.Memory{}, "ask web s"},
		{"a person's, scaled to nothing", []swarm.Object{with(object("web", "1", "a"), func(o *swarm.Object) { o.Remove = true })}, &swarm.Listed{Stamp: "s"}, swarm.Memory{}, ""},
		{"a person's and gone", nil, &swarm.Listed{Stamp: "s"}, swarm.Memory{}, ""},
		{"another Swarm's and gone", nil, &swarm.Listed{Stamp: "s", Source: &service.Source{Kind: service.SwarmSource, Cluster: "swarm-2", ID: "1"}}, swarm.Memory{}, ""},
		{"a plain host's and gone", nil, &swarm.Listed{Stamp: "s", Source: &service.Source{Kind: service.DockerSource, Cluster: cluster, ID: "1"}}, swarm.Memory{}, ""},
		{"two of one name", []swarm.Object{object("web", "1", "a"), object("web", "2", "a")}, nil, swarm.Memory{}, "ask web ; refuse web "},
		{"two of one name, one has it", []swarm.Object{object("web", "1", "a"), object("web", "2", "a")}, &swarm.Listed{Stamp: "s", Source: own("2", "a")}, swarm.Memory{}, "refuse web s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := swarm.World{Seen: seen(tt.objects...), Listed: map[string]swarm.Listed{}, Memory: map[string]swarm.Memory{"1": tt.memory}, Now: start}
			if tt.entry != nil {
				tt.entry.Name = "web"
				w.Listed["web"] = *tt.entry
			}
			if got := describe(swarm.Decide(w)); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestJudgeWithoutTheEvent: nothing tells who removed it, so it is left until it is asked for anew.
func TestJudgeWithoutTheEvent(t *testing.T) {
	forgotten := events.Record{Key: "web", Action: "removed", Time: start.Add(time.Hour)}
	offered := forgotten
	offered.Seq, offered.Origin = 7, "offer"
	for name, c := range map[string]struct {
		asked time.Duration
		want  swarm.Verb
	}{"asked for before": {0, swarm.Leave}, "asked for since": {2 * time.Hour, swarm.Announce}} {
		t.Run(name, func(t *testing.T) {
			o := object("web", "1", "a")
			o.Asked = start.Add(c.asked)
			for _, removal := range []events.Record{forgotten, offered} {
				var p swarm.Past
				p.Learn(removal, o.Source)
				if s := swarm.Judge(swarm.Step{Do: swarm.Ask, Name: "web", Object: &o}, p); s.Do != c.want {
					t.Errorf("%+v: %+v", removal, s)
				}
			}
		})
	}
}

func describe(steps []swarm.Step) string {
	text := ""
	for i, s := range steps {
		if i > 0 {
			text += "; "
		}
		text += []string{"announce", "ask", "remove", "leave", "refuse"}[s.Do] + " " + s.Name + " " + s.Match
		if s.Confirmed {
			text += " confirmed"
		}
	}
	return text
}

// world is the whole loop without Docker and API: a state, its log, and watchers that act.
type world struct {
	state map[string]swarm.Listed
	log   map[string][]events.Record
	count int
}

func (w *world) write(r events.Record, l *swarm.Listed) {
	w.count++
	r.Seq, r.Time, r.Result = uint64(w.count), start.Add(time.Duration(w.count)*time.Hour), events.ResultApplied
	w.log[r.Key] = append(w.log[r.Key], r)
	if l == nil {
		delete(w.state, r.Key)
		return
	}
	l.Stamp = stampAt(w.count)
	w.state[r.Key] = *l
}

func (w *world) past(name string) (p swarm.Past) {
	for _, r := range w.log[name] {
		p.Learn(r, service.Source{Kind: service.SwarmSource, Cluster: cluster})
	}
	return p
}

// watch does what one watcher does in one look, without a memory.
func (w *world) watch(s *swarm.Seen) (steps int) {
	for _, step := range swarm.Decide(swarm.World{Seen: s, Listed: w.state, Now: start}) {
		if step.Do == swarm.Ask {
			step = swarm.Judge(step, w.past(step.Name))
		}
		switch step.Do {
		case swarm.Announce:
			src := step.Object.Source
			data := fmt.Sprintf(`{"source":{"kind":%q,"cluster":%q,"id":%q,"labels":%q}}`, src.Kind, src.Cluster, src.ID, src.Labels)
			w.write(events.Record{Key: step.Name, Action: "put", Origin: "swarm", Data: []byte(data)}, &swarm.Listed{Name: step.Name, Source: &src})
			steps++
		case swarm.Remove:
			w.write(events.Record{Key: step.Name, Action: "removed", Origin: "swarm"}, nil)
			steps++
		}
	}
	return steps
}

// TestWatchersConverge: whatever people, Docker and other Swarms do, one look brings the state
// where labels want it, a second finds nothing to do, and what people did last stays.
func TestWatchersConverge(t *testing.T) {
	names := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		w := &world{state: map[string]swarm.Listed{}, log: map[string][]events.Record{}}
		docker := map[string]swarm.Object{}
		person := map[string]bool{} // a person was the last to write, and labels have not changed since
		id := 0
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			labels := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "labels")
			switch rapid.SampledFrom([]string{"labels", "gone", "person", "person removes", "other swarm"}).Draw(t, "action") {
			case "labels":
				o, ok := docker[name]
				if !ok {
					id++
					o = object(name, fmt.Sprint(id), labels)
				}
				if o.Source.Labels != labels || !ok {
					o.Source.Labels, o.Updated = labels, start.Add(time.Duration(w.count)*time.Hour+time.Minute)
					o.Relabelled = o.Updated
					// A service that is made anew with the labels that were there before brings
					// nothing new to what a person made.
					if _, there := w.state[name]; !there || w.past(name).Own == nil || w.past(name).Own.Labels != labels {
						person[name] = false
					}
				}
				docker[name] = o
			case "gone":
				delete(docker, name)
			case "person":
				w.write(events.Record{Key: name, Action: "put", Origin: "api", Actor: "ann"}, &swarm.Listed{Name: name})
				person[name] = true
			case "person removes":
				if _, there := w.state[name]; there {
					w.write(events.Record{Key: name, Action: "removed", Origin: "api", Actor: "ann"}, nil)
					person[name] = true
				}
			case "other swarm":
				if _, there := w.state[name]; !there && !person[name] {
					if _, mine := docker[name]; !mine {
						w.write(events.Record{Key: name, Action: "put", Origin: "swarm"}, &swarm.Listed{Name: name, Source: &service.Source{Kind: service.SwarmSource, Cluster: "swarm-2", ID: "9"}})
					}
				}
			}
			before := map[string]string{}
			for n, l := range w.state {
				before[n] = l.Stamp
			}
			var list []swarm.Object
			for _, n := range names {
				if o, ok := docker[n]; ok {
					list = append(list, o)
				}
			}
			w.watch(seen(list...))
			if n := w.watch(seen(list...)); n != 0 {
				t.Fatalf("a second look does %d steps", n)
			}
			for _, n := range names {
				l, there := w.state[n]
				o, asks := docker[n]
				foreign := there && (l.Source == nil || l.Source.Cluster != cluster)
				switch {
				case person[n] && (there != (before[n] != "") || l.Stamp != before[n]):
					t.Fatalf("%s: what a person did is undone", n)
				case there && !foreign && !asks:
					t.Fatalf("%s stays", n)
				case asks && !person[n] && !foreign && (!there || l.Source.Labels != o.Source.Labels):
					t.Fatalf("%s is not as the labels ask: %+v", n, l)
				}
			}
		}
	})
}
