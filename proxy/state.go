package proxy

import (
	"context"
	"errors"
	"fmt"

	"sluice/crdt/service"
)

// Item is one live service of the map. Version tells its writes apart (its stamp);
// Value is the canonical document and is shared: never change it in place.
type Item struct {
	Name, Version string
	Value         []byte
}

// Desired is what the replica should serve. Items are sorted by name.
type Desired struct {
	// Ready is false until the replica has its state; nothing is bound before that.
	Ready bool
	// StreamID and Seq are the position of the log that the items reflect.
	StreamID string
	Seq      uint64
	Items    []Item
	// Certificates are sorted by name.
	Certificates []Bundle
	// Overlays are what is in force over services, sorted by the service's name, Values as
	// service.DecodeOverlay reads them. One without its service has no effect.
	Overlays []Item
}

// Source gives the desired state. It is level-triggered: Changed returns the channel that
// is closed at the next change after the call. Safe for concurrent use.
type Source interface {
	Desired() Desired
	Changed() <-chan struct{}
}

// Quarantined is a version of a service that this replica cannot serve.
type Quarantined struct {
	Service string `json:"service"`
	Version string `json:"version"`
	// Reason is one line, fit to be shown.
	Reason string `json:"reason"`
	// Serving is the version that serves instead, "" for none.
	Serving string `json:"serving"`
}

// Report is what HAProxy serves right now. Live means: a worker with that generation answers.
type Report struct {
	// StreamID and Seq are the position whose items are live, apart from Quarantine.
	StreamID string
	Seq      uint64
	// Reached is the position whose items are live apart from Quarantine and from the
	// services in Behind, which wait for a load or for the addresses of their hosts.
	Reached uint64
	Behind  []string
	// Generation counts the loads of this process; ConfigDigest is the hash of the
	// rendered files, equal for equal files.
	Generation   uint64
	ConfigDigest string
	// Ready is true once the first load is live and HAProxy runs.
	Ready bool
	// Up is whether HAProxy runs.
	Up         bool
	Quarantine []Quarantined
	// Notes are accepted parameters that have no effect here, one line each.
	Notes []string
	// Problems are certificates that cannot be used here, one line each.
	Problems   []string
	OldWorkers int
	// LastError is why the newest state is not live, "" when it is.
	LastError string
}

// Refusal is HAProxy's or the renderer's verdict against one definition.
type Refusal struct {
	Service string
	// Param is the parameter to blame, "" where it cannot be told.
	Param  string
	Reason string
	// Holder is the service that has what this one asks for, "" if none does.
	Holder string
}

func (r *Refusal) Error() string {
	if r.Param != "" {
		return fmt.Sprintf("service %s: parameter %s: %s", r.Service, r.Param, r.Reason)
	}
	return fmt.Sprintf("service %s: %s", r.Service, r.Reason)
}

// Verdict is a refusal of a whole configuration by HAProxy; Text holds its alerts.
type Verdict struct{ Text string }

func (v *Verdict) Error() string { return "haproxy refuses the configuration: " + v.Text }

// Checker asks for HAProxy's opinion on a configuration file. A *Verdict is a refusal, any
// other error means that there is no opinion. Safe for concurrent use.
type Checker interface {
	Check(ctx context.Context, file string) error
}

// Loader starts, reloads and stops HAProxy. Load returns when a worker whose description
// is "gen-<generation>" answers; after an error the previous worker still serves.
type Loader interface {
	Load(ctx context.Context, generation uint64) error
	Stop(ctx context.Context) error
}

// Observer tells what runs now; Exited is closed when the running HAProxy next ends.
type Observer interface {
	State(ctx context.Context) ProcessState
	Exited() <-chan struct{}
}

// ErrWorker: another worker answers than the one that was loaded last.
var ErrWorker = errors.New("another worker answers")

// Commander sends commands to the worker of the newest load, in order, and gives their
// answers; a command may end in "<<" and further lines. After an error it is unknown which
// of them took effect.
type Commander interface {
	Exec(ctx context.Context, commands []string) (answers []string, err error)
}

// Process is the HAProxy that the controller drives.
type Process interface {
	Checker
	Loader
	Observer
	Commander
}

// Capabilities are what the commands of an HAProxy can do, by its version.
type Capabilities struct {
	// AddBackend (3.4): backends can be added and deleted.
	AddBackend bool
	// Cookie (3.0): servers that are added may have a cookie.
	Cookie bool
}

// ProcessState is what runs now.
type ProcessState struct {
	Up bool
	// Generation is the live worker's, Worker its process number; 0 when unknown.
	Generation uint64
	Worker     int
	OldWorkers int
}

// Certificates lists the local certificate files.
type Certificates interface {
	// Files are the usable PEM bundles, directory by directory in name order, and one line
	// for each file that is not usable.
	Files() (list []Certificate, problems []string)
	// Fallback is a self-signed certificate, made when it is missing.
	Fallback() (path string, err error)
}

// LastGood keeps the versions that were live, across restarts. Load gives the newest saved.
type LastGood interface {
	Load() ([]Item, error)
	Save([]Item) error
}

// decode reads an item's value.
func decode(it Item) (service.Service, error) {
	s, err := service.Decode(it.Value)
	if err != nil {
		return service.Service{}, err
	}
	if s.Name != it.Name {
		return service.Service{}, fmt.Errorf("the document names itself %.128q", s.Name)
	}
	return s, nil
}
