# The image of Sluice: the static program and the distribution's HAProxy.
#
#   docker build -t sluice --build-arg VERSION=v1.2.3 .
#
# Both base images are build arguments, so that another mirror, tag or digest can be given.
# The builder's C library does not matter: the program is static.
ARG GO_IMAGE=golang:1.26-trixie
ARG BASE_IMAGE=debian:trixie-slim

FROM ${GO_IMAGE} AS build
WORKDIR /src
# Only these two files decide what is downloaded: a change of the source does not repeat it.
COPY go.mod go.sum ./
RUN go mod download
COPY crdt crdt
COPY events events
COPY proxy proxy
COPY cmd cmd
ARG VERSION=
# No path, no time and no build id: the same source and the same Go give the same bytes.
RUN CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -buildvcs=false \
      -ldflags "-s -w -buildid= -X main.version=${VERSION}" -o /sluice ./cmd/sluice

FROM ${BASE_IMAGE}
# ca-certificates: a NATS or a Consul may have a certificate of a public authority.
RUN apt-get update \
 && apt-get install -y --no-install-recommends haproxy ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /etc/haproxy \
 && mkdir -p /cfg /certs /errorfiles /run/secrets /var/lib/sluice
COPY --from=build /sluice /usr/local/bin/sluice

ARG VERSION=
LABEL org.opencontainers.image.title="sluice" \
      org.opencontainers.image.description="Edge control plane for Docker Swarm and plain Docker hosts: every replica drives its own HAProxy from one log" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"

# 80 and 443: traffic. 8080: the API, health and metrics.
EXPOSE 80 443 8080

# Fails until the state is restored and served, which keeps a new task out of Swarm's DNS and
# load balancing and the old one in it; afterwards only if the process or HAProxy is dead. The
# check asks the address that the same environment gives to `sluice run`.
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["sluice", "healthcheck"]

# SIGTERM: not ready, five more seconds of service, soft stop of HAProxy.
STOPSIGNAL SIGTERM

# It starts as root, binds the ports, and HAProxy's workers become "haproxy". Four of Docker's
# capabilities are enough: SETUID and SETGID for that, KILL to tell the workers to stop, and
# NET_BIND_SERVICE. DAC_OVERRIDE too, if certificates on a volume belong to another user.
ENTRYPOINT ["sluice"]
CMD ["run"]
