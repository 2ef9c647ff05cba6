// Package swarm holds the end-to-end tests in a real Docker Swarm, of deploy/stack.yml itself.
package swarm
