package consul_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"sluice/events"
	"sluice/events/consul"
)

// damaged is a saved snapshot of several chunks that a test may damage and restore.
type damaged struct {
	tb   testing.TB
	cfg  consul.Config
	good map[string]string // the namespace's keys
	// chunk is the key of the third chunk.
	chunk string
}

func saved(tb testing.TB, cfg consul.Config, s *consul.Store) *damaged {
	tb.Helper()
	save(tb, s, snapshot(cfg.Namespace, 1, 800))
	d := &damaged{tb: tb, cfg: cfg, good: list(tb, "sluice/"+cfg.Namespace+"/")}
	for name := range d.good {
		if strings.HasPrefix(name, "snapshot/chunks/") && strings.HasSuffix(name, "/2") {
			d.chunk = "sluice/" + cfg.Namespace + "/" + name
		}
	}
	if d.chunk == "" {
		tb.Fatal("there is no third chunk")
	}
	return d
}

func (d *damaged) restore() {
	for name, value := range d.good {
		put(d.tb, "sluice/"+d.cfg.Namespace+"/"+name, value)
	}
}

// edit changes the manifest.
func (d *damaged) edit(field string, value any) {
	var m map[string]any
	if err := json.Unmarshal([]byte(d.good["snapshot/manifest"]), &m); err != nil {
		d.tb.Fatal(err)
	}
	m[field] = value
	text, err := json.Marshal(m)
	if err != nil {
		d.tb.Fatal(err)
	}
	put(d.tb, manifestKey(d.cfg), string(text))
}

// copyFrom puts another namespace's snapshot in place, with a manifest that claims ours.
func (d *damaged) copyFrom(namespace string) {
	other := d.cfg
	other.Namespace = namespace
	save(d.tb, newStore(d.tb, other), snapshot(namespace, 1, 1))
	for name, value := range list(d.tb, "sluice/"+namespace+"/") {
		value = strings.Replace(value, `"namespace":"`+namespace+`"`, `"namespace":"`+d.cfg.Namespace+`"`, 1)
		put(d.tb, "sluice/"+d.cfg.Namespace+"/"+name, value)
	}
}

func TestDamagedSnapshotIsRefusedByName(t *testing.T) {
	cfg := config(t)
	s := newStore(t, cfg)
	d := saved(t, cfg, s)
	for _, c := range []struct {
		name   string
		damage func()
		want   error
		says   string
	}{
		{"changed chunk", func() { put(t, d.chunk, "x") }, events.ErrCorruptSnapshot, d.chunk},
		{"missing chunk", func() { remove(t, d.chunk) }, events.ErrCorruptSnapshot, d.chunk},
		{"another checksum", func() { d.edit("sha256", strings.Repeat("0", 64)) }, events.ErrCorruptSnapshot, "as a whole"},
		{"manifest is no JSON", func() { put(t, manifestKey(cfg), "{") }, events.ErrCorruptSnapshot, manifestKey(cfg)},
		{"manifest of another format", func() { d.edit("format", 2) }, events.ErrCorruptSnapshot, "format 2"},
		{"manifest with a strange id", func() { d.edit("id", "../..") }, events.ErrCorruptSnapshot, "malformed"},
		{"of another namespace", func() { d.edit("namespace", "elsewhere") }, events.ErrForeignSnapshot, `"elsewhere"`},
		{"copied from another namespace", func() { d.copyFrom("elsewhere") }, events.ErrForeignSnapshot, `"elsewhere"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.restore()
			c.damage()
			_, err := s.Load(t.Context())
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("load: %v; want %v naming %q", err, c.want, c.says)
			}
		})
	}
	t.Run("a save replaces what is broken", func(t *testing.T) {
		put(t, manifestKey(cfg), "{")
		save(t, s, snapshot(cfg.Namespace, 1, 1))
		load(t, s)
	})
}
