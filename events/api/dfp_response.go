package api

import "sluice/crdt/service"

// dfpStatus is the short form of Docker Flow Proxy's answer.
type dfpStatus struct {
	Status      string
	Message     string
	ServiceName string
}

// dfpResponse is the long form: the status and the service, flat.
type dfpResponse struct {
	Status  string
	Message string
	service.DockerFlow
}

func newDFPResponse(s *service.Service) dfpResponse {
	return dfpResponse{Status: "OK", DockerFlow: service.NewDockerFlow(s)}
}

func list(in []string) []string {
	if in == nil {
		return []string{}
	}
	return in
}
