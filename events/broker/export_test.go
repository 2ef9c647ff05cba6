package broker

import "github.com/nats-io/nats-server/v2/server"

// JetStream is what the server runs its store with.
func (b *Server) JetStream() server.JetStreamConfig { return *b.server.JetStreamConfig() }
