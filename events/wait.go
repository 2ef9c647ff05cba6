package events

// Scope says where a change has to be live before a waiting caller is answered.
type Scope string

// Scopes of a Wait.
const (
	WaitNone  Scope = "none"
	WaitLocal Scope = "local"
	WaitAll   Scope = "all"
)

// Wait asks for the proof that a position of the log is live.
type Wait struct {
	Scope    Scope
	StreamID string
	Seq      uint64
	// Key is the changed key: a replica that has quarantined it answers at once.
	Key string
}

// WaitResult is the proof, or what is missing from it.
type WaitResult struct {
	// Live: every replica of the scope serves the position.
	Live bool
	// Missing names the replicas that do not serve it yet.
	Missing []string
	// Problems are what those of them tell of themselves that an operator should look at, by name.
	Problems map[string]string
	// Quarantined lists, by replica name, why the change is not served there.
	Quarantined map[string]Quarantined
}
