package events

import "time"

// Status is what one replica tells about itself: in its heartbeats to the others and
// in GET /v1/replicas. Sequences are those of the log named by StreamID.
type Status struct {
	// Node is the random identity of the process, 16 hex digits; Name is the shown name.
	Node string `json:"node"`
	Name string `json:"name"`
	// Version of the program.
	Version string `json:"version"`

	// StreamID is the log that the state was folded from; empty: no state yet.
	StreamID string `json:"streamId"`
	// Seq is the position folded up to, LastSeq the log's last sequence when it was last asked.
	Seq     uint64 `json:"seq"`
	LastSeq uint64 `json:"lastSeq"`
	// Live is the highest position that HAProxy serves.
	Live uint64 `json:"live"`
	// Reached is a position that HAProxy serves but for the services in Behind, which wait
	// for a load or for addresses; at least Live.
	Reached uint64   `json:"reached,omitempty"`
	Behind  []string `json:"behind,omitempty"`
	// Lag is LastSeq - Seq.
	Lag uint64 `json:"lag"`

	// Digest is that of the map, tombstones included, ConfigDigest that of the rendered
	// configuration (which local secrets and addresses may change). Hex.
	Digest       string `json:"digest"`
	ConfigDigest string `json:"configDigest"`
	// Generation counts the configurations that this HAProxy has loaded.
	Generation uint64 `json:"generation"`
	// Services is the number of live services, Pending that of changes not yet in the log.
	Services int `json:"services"`
	Pending  int `json:"pending"`
	// Rejected is how many changes this process has given up: GET /v1/events?kind=rejected.
	Rejected int `json:"rejected,omitempty"`

	// Ready: the state is restored and HAProxy serves it.
	Ready bool `json:"ready"`
	// Stale says why the state may be behind the log; empty: it is not.
	Stale string `json:"stale"`
	// Problem says what an operator should look at; empty: nothing.
	Problem string `json:"problem,omitempty"`
	// Notes tell about accepted parameters that have no effect on this replica, one line each.
	Notes []string `json:"notes,omitempty"`
	// Quarantine lists the services whose newest version is not served here.
	Quarantine []Quarantined `json:"quarantine"`
	// InsecureAPI: the API answers anybody.
	InsecureAPI bool `json:"insecureApi"`
	// Leaving: the replica stops, do not wait for it.
	Leaving bool `json:"leaving,omitempty"`
	// Time is when this was true, by the replica's own clock.
	Time time.Time `json:"time"`
}

// Quarantined is a version of a service that one replica does not serve.
type Quarantined struct {
	Service string `json:"service"`
	// Version is the stamp of the refused version.
	Version string `json:"version"`
	Reason  string `json:"reason"`
	// Serving is the stamp of the version that serves in its place; empty: none does.
	Serving string `json:"serving"`
}
