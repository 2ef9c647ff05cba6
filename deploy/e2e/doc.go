// Package e2e proves the promises of the README with real processes: `sluice run`,
// HAProxy, NATS and Consul, started on free loopback ports. It has tests only.
package e2e
