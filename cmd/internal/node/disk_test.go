package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/crdt"
	"sluice/events"
)

func TestWriteFileReplacesAtomically(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != "two" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDiskSnapshots(t *testing.T) {
	store := diskSnapshots{filepath.Join(t.TempDir(), "s")}
	if _, err := store.Load(t.Context()); !errors.Is(err, events.ErrNoSnapshot) {
		t.Errorf("load of nothing: %v", err)
	}
	m := crdt.NewMap()
	m.Merge(crdt.Entry{Key: "service/a", Stamp: crdt.Stamp{HLC: 1 << 16, Node: 1 << 63}, Value: []byte(`{}`)})
	state := &events.State{StreamID: "s", Params: events.DefaultParams(), Anchor: events.Anchor{Seq: 3}, Map: m}
	if err := store.Save(t.Context(), events.Snapshot{Namespace: "n", Taken: time.Now(), State: state}); err != nil {
		t.Fatal(err)
	}
	got, err := store.Load(t.Context())
	if err != nil || got.Namespace != "n" || got.State.Map.Digest() != m.Digest() {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.WriteFile(store.path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(t.Context()); !errors.Is(err, events.ErrCorruptSnapshot) {
		t.Errorf("load of garbage: %v", err)
	}
}

func TestValidateReportsEverythingAtOnce(t *testing.T) {
	c := DefaultConfig()
	c.Name, c.APIAddr, c.Namespace, c.Separator = "a b", "nowhere", "UPPER", ""
	c.DataDir = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(c.DataDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Proxy.CfgDir = t.TempDir()
	err := c.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"--name (SLUICE_NAME)", "--api-addr", "--namespace", "SEPARATOR", "--data-dir (SLUICE_DATA_DIR)"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in:\n%v", want, err)
		}
	}
}
