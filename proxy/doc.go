// Package proxy is what a replica does with the map: it builds a Model from the live
// services, renders it to the files of an HAProxy and keeps that HAProxy in step with
// the map.
//
// Build and Model are pure. Resolver looks hosts up, Controller is the one loop that
// ties them to a running HAProxy. The package proxy/haproxy holds the process, the
// package proxy/certs the certificate files.
package proxy
