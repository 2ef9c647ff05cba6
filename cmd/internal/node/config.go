// Package node is the composition root: it turns a Config into a running replica, all
// parts wired, started in stages and stopped in reverse.
package node

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/broker"
	"sluice/events/consul"
	"sluice/events/stream"
	"sluice/events/swarm"
	"sluice/proxy"
)

// Config is everything a replica is told from outside. DefaultConfig gives the defaults.
type Config struct {
	// Name is the shown name of the replica.
	Name string
	// Version is the program's.
	Version string
	// APIAddr is where the API listens, host:port.
	APIAddr string
	// DataDir holds the embedded log, accepted changes that the log lacks, the last good state and
	// a generated cluster key. It is this process's alone.
	DataDir string
	// LockWait is how long a process that still uses DataDir may take to stop.
	LockWait time.Duration
	// HAProxy is the program's path; empty: found in PATH.
	HAProxy string
	// Namespace prefixes subjects, stream and snapshots.
	Namespace string

	NATS   NATS
	Peers  Peers
	Consul Consul

	// ClusterKeyFile holds the key that seals secrets in the log; empty: the secret
	// sluice_cluster_key, else, on a single node, one that the node makes itself.
	ClusterKeyFile string
	// TokensFile holds the access tokens of the API; empty: the secret sluice_tokens, if any.
	TokensFile  string
	InsecureAPI bool
	// AllowRawConfig accepts raw HAProxy text and free conditions in definitions.
	AllowRawConfig bool
	// CheckpointEvery is how often a changing state is kept beside the log.
	CheckpointEvery time.Duration
	// NoBootstrap leaves the start of a new log to the operator.
	NoBootstrap bool

	// Separator splits lists in queries; DomainAlgo is the default host criterion.
	Separator, DomainAlgo string
	// Instance is the proxy's instance name; with FilterInstance services of others are
	// accepted and not configured.
	Instance       string
	FilterInstance bool
	// LookupHosts refuses definitions whose first host does not resolve.
	LookupHosts bool

	// Users, as "name:password" joined by commas, protect every service that has none of
	// its own; UsersPassEncrypted: the passwords are crypt(3) hashes.
	Users              string
	UsersPassEncrypted bool

	// ServiceName is the Swarm service of the replicas, found as tasks.<ServiceName>; with a log of
	// its own, a replica looks there for others. Empty: it does not.
	ServiceName string

	// Local are the services of this replica's own environment.
	Local []Local

	// Listener says which Swarm listeners are asked for their services.
	Listener Listener

	// Docker is what is watched for labels; without a host nothing is.
	Docker swarm.Config

	// Proxy is the environment of HAProxy.
	Proxy proxy.Options

	// Drain is how long to go on serving, not ready any more, after the signal to stop.
	Drain time.Duration
	// Warnings are told once at start. Problems is what the settings could not even be read
	// for; Validate reports it with its own.
	Warnings []string
	Problems error
	Logger   zerolog.Logger
}

// NATS says where the log is.
type NATS struct {
	// URL is an external NATS; empty: an embedded one that listens on Listen.
	URL    string
	Listen string
	// LogSize limits the log in bytes; 0: 4 GiB, less where the server has no room for it, and a limit that a log has stays.
	LogSize int64
	// LogReplicas is how many nodes of a cluster keep the log; 0: three if there are so many.
	LogReplicas int
	// TokenFile holds the token that clients of the embedded or external server need;
	// empty: the secret sluice_nats_token, if any.
	TokenFile, CredsFile, NKeySeedFile string
	CAFile, CertFile, KeyFile          string
}

// Embedded reports whether this node runs the log itself.
func (n NATS) Embedded() bool { return n.URL == "" }

// Peers says where the other replicas are, to reach them without the log's NATS; no names:
// only through that.
type Peers struct {
	// Names are host names or addresses, this replica's own included or not; one without a port
	// has that of Listen.
	Names []string
	// Listen is where the others reach this replica.
	Listen string
	// SecretFile holds the secret that all replicas of a mesh have; empty: the secret sluice_peers_secret, else
	// one that the cluster key gives.
	SecretFile string
}

// Consul says where snapshots and the mirror go; no addresses: nowhere.
type Consul struct {
	Addrs     []string
	Prefix    string
	TokenFile string
}

// ErrDrain, as the cause that ends Run's context, asks for Config.Drain first.
var ErrDrain = errors.New("drain before stopping")

// DefaultConfig returns the defaults of the container image.
func DefaultConfig() Config {
	host, err := os.Hostname()
	if err != nil {
		host = "sluice"
	}
	return Config{
		Name: host, APIAddr: ":8080", DataDir: "/var/lib/sluice", Namespace: "docker-flow",
		Instance: "docker-flow", Separator: ",", ServiceName: "proxy",
		NATS:     NATS{Listen: "127.0.0.1:4222"},
		Peers:    Peers{Listen: ":6222"},
		Consul:   Consul{Prefix: "docker-flow"},
		Listener: Listener{Interval: 5 * time.Second},
		Docker:   swarm.DefaultConfig(),
		Proxy:    proxy.DefaultOptions(),
		Drain:    5 * time.Second,

		CheckpointEvery: time.Hour,
		LockWait:        lockWait,
	}
}

// setting names a value for people: its flag and its variable.
type setting string

func (s setting) problem(value, problem, remedy string) error {
	return fmt.Errorf("%s %q %s: %s", s, value, problem, remedy)
}

// Settings named in problems.
const (
	setName         setting = "--name (SLUICE_NAME)"
	setAPIAddr      setting = "--api-addr (SLUICE_API_ADDR, IP and PORT)"
	setDataDir      setting = "--data-dir (SLUICE_DATA_DIR)"
	setCfgDir       setting = "--cfg-dir (SLUICE_CFG_DIR)"
	setNamespace    setting = "--namespace (SLUICE_NAMESPACE, PROXY_INSTANCE_NAME)"
	setURL          setting = "--nats-url (SLUICE_NATS_URL)"
	setListen       setting = broker.SettingListen
	setLogSize      setting = "--log-size (SLUICE_LOG_SIZE)"
	setLogCopies    setting = "--log-replicas (SLUICE_LOG_REPLICAS)"
	setCheckpoint   setting = "--checkpoint-every (SLUICE_CHECKPOINT_EVERY)"
	setSeparator    setting = "SEPARATOR"
	setDomainAlgo   setting = "SERVICE_DOMAIN_ALGO"
	setKey          setting = "--cluster-key-file (SLUICE_CLUSTER_KEY_FILE, secret sluice_cluster_key)"
	setTokens       setting = "--tokens-file (SLUICE_TOKENS_FILE, secret sluice_tokens)"
	setNATSToken    setting = broker.SettingToken
	setPeers        setting = "--peers (SLUICE_PEERS)"
	setPeerListen   setting = "--peers-listen (SLUICE_PEERS_LISTEN)"
	setPeerSecret   setting = "--peers-secret-file (SLUICE_PEERS_SECRET_FILE, secret sluice_peers_secret)"
	setConsulAddr   setting = "--consul-addr (SLUICE_CONSUL_ADDR, CONSUL_ADDRESS)"
	setConsulPrefix setting = "--consul-prefix (SLUICE_CONSUL_PREFIX)"
	setConsul       setting = "--consul-token-file (SLUICE_CONSUL_TOKEN_FILE)"
)

// Validate reports every problem that can be told without starting anything, joined.
func (c Config) Validate() error {
	errs := []error{c.Problems, c.Proxy.Validate(), c.Listener.problems()}
	if c.Name == "" || len(c.Name) > 128 || strings.ContainsFunc(c.Name, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
		errs = append(errs, setName.problem(c.Name, "is not a name", "use 1 to 128 printable characters without blank and slash"))
	}
	if err := (events.Subjects{Namespace: c.Namespace}).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", setNamespace, err))
	}
	if c.Separator == "" {
		errs = append(errs, setSeparator.problem("", "is empty", "set it to the text that separates list elements, e.g. a comma"))
	}
	if err := service.CheckDomainAlgo(c.DomainAlgo); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", setDomainAlgo, err))
	}
	errs = append(errs, checkAddr(setAPIAddr, c.APIAddr), checkDirectory(c.DataDir, setDataDir), checkDirectory(c.Proxy.CfgDir, setCfgDir))
	if c.NATS.Embedded() {
		errs = append(errs, checkAddr(setListen, c.NATS.Listen))
	} else if err := stream.CheckURL(c.NATS.URL); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", setURL, err))
	}
	errs = append(errs, c.checkLog())
	if c.Docker.Host != "" {
		errs = append(errs, c.Docker.Validate())
	}
	errs = append(errs, c.checkPeers())
	errs = append(errs, c.checkConsul())
	return errors.Join(errs...)
}

func (c Config) checkConsul() error {
	if len(c.Consul.Addrs) == 0 {
		return nil
	}
	var errs []error
	if _, err := consul.New(consul.Config{Addrs: c.Consul.Addrs, Namespace: "any"}); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", setConsulAddr, err))
	}
	if _, err := consul.New(consul.Config{Addrs: []string{"127.0.0.1:8500"}, Namespace: "any", Prefix: c.Consul.Prefix}); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", setConsulPrefix, err))
	}
	return errors.Join(errs...)
}

// minLogSize holds a few of the largest messages.
const minLogSize = 4 << 20

func (c Config) checkLog() error {
	var errs []error
	if n := c.NATS.LogSize; n != 0 && n < minLogSize {
		errs = append(errs, setLogSize.problem(fmt.Sprint(n), "is too small for a log", fmt.Sprintf("give it at least %d bytes", minLogSize)))
	}
	if n := c.NATS.LogReplicas; n < 0 || n > 5 || n == 2 || n == 4 {
		errs = append(errs, setLogCopies.problem(fmt.Sprint(n), "is no number of copies that a majority can be made of", "use 1, 3 or 5, or 0 to let the cluster decide"))
	}
	if c.CheckpointEvery < minCheckpoint {
		errs = append(errs, setCheckpoint.problem(c.CheckpointEvery.String(), "is too often", "use at least "+minCheckpoint.String()))
	}
	return errors.Join(errs...)
}

// minCheckpoint leaves the log time for other things than checkpoints.
const minCheckpoint = time.Second

func checkAddr(s setting, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return s.problem(addr, "is not an address", "write host:port, e.g. 127.0.0.1:8080")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return s.problem(addr, "has no port from 0 to 65535", "write host:port, e.g. 127.0.0.1:8080")
	}
	return nil
}

// secret is the path of an explicit file, else of a Swarm secret that exists, else empty.
func (c Config) secret(file, name string) string {
	return secretPath(c.Proxy.SecretsDir, file, name)
}

const maxSecret = 64 << 10

// readSecret returns the trimmed text of a small file.
func readSecret(path string, s setting) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", s.problem(path, fmt.Sprintf("cannot be read (%v)", err), "name a readable file")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil || len(data) > maxSecret {
		return "", s.problem(path, "cannot be read or is larger than 64 KiB", "name a small text file")
	}
	return strings.TrimSpace(string(data)), nil
}
