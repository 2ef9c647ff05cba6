// Package host is for tests only: one proxy on a plain Docker host, which watches the labels
// of containers itself.
package host
