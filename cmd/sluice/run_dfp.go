package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/cmd/internal/node"
	"sluice/proxy"
)

// dfpVariable is a variable of Docker Flow Proxy and what it sets.
type dfpVariable struct {
	name string
	set  func(c *node.Config, value string) error
}

// dfpVariables are those with an effect; IP, PORT and CONSUL_ADDRESS stand behind flags.
var dfpVariables = []dfpVariable{
	{"SEPARATOR", text(func(c *node.Config) *string { return &c.Separator })},
	{"SERVICE_DOMAIN_ALGO", text(func(c *node.Config) *string { return &c.DomainAlgo })},
	{"PROXY_INSTANCE_NAME", text(func(c *node.Config) *string { return &c.Instance })},
	{"FILTER_PROXY_INSTANCE_NAME", boolean(func(c *node.Config) *bool { return &c.FilterInstance })},
	{"SKIP_ADDRESS_VALIDATION", func(c *node.Config, v string) error {
		var skip bool
		if err := boolean(func(*node.Config) *bool { return &skip })(c, v); err != nil {
			return err
		}
		c.LookupHosts = !skip
		return nil
	}},
	{"SERVICE_NAME", text(func(c *node.Config) *string { return &c.ServiceName })},
	{"LISTENER_ADDRESS", list(",", func(c *node.Config) *[]string { return &c.Listener.Addrs })},
	{"RELOAD_INTERVAL", func(c *node.Config, v string) error {
		var millis int
		if err := whole("is not a whole number of milliseconds", func(*node.Config) *int { return &millis })(c, v); err != nil {
			return err
		}
		c.Listener.Interval = time.Duration(millis) * time.Millisecond
		return nil
	}},
	{"REPEAT_RELOAD", boolean(func(c *node.Config) *bool { return &c.Listener.Repeat })},
	{"DEFAULT_REQ_MODE", text(func(c *node.Config) *string { return &c.Proxy.DefaultReqMode })},
	{"CONNECTION_MODE", text(func(c *node.Config) *string { return &c.Proxy.ConnectionMode })},
	{"TIMEOUT_CONNECT", seconds(func(c *node.Config) *int { return &c.Proxy.Timeouts.Connect })},
	{"TIMEOUT_CLIENT", seconds(func(c *node.Config) *int { return &c.Proxy.Timeouts.Client })},
	{"TIMEOUT_SERVER", seconds(func(c *node.Config) *int { return &c.Proxy.Timeouts.Server })},
	{"TIMEOUT_QUEUE", seconds(func(c *node.Config) *int { return &c.Proxy.Timeouts.Queue })},
	{"TIMEOUT_TUNNEL", seconds(func(c *node.Config) *int { return &c.Proxy.Timeouts.Tunnel })},
	{"TIMEOUT_HTTP_REQUEST", seconds(func(c *node.Config) *int { return &c.Proxy.Timeouts.HTTPRequest })},
	{"TIMEOUT_HTTP_KEEP_ALIVE", seconds(func(c *node.Config) *int { return &c.Proxy.Timeouts.HTTPKeepAlive })},
	{"HTTPS_ONLY", boolean(func(c *node.Config) *bool { return &c.Proxy.HTTPSOnly })},
	{"USERS", text(func(c *node.Config) *string { return &c.Users })},
	{"USERS_PASS_ENCRYPTED", boolean(func(c *node.Config) *bool { return &c.UsersPassEncrypted })},
	{"CHECK_RESOLVERS", boolean(func(c *node.Config) *bool { return &c.Proxy.CheckResolvers })},
	{"RESOLVERS", list("\n", func(c *node.Config) *[]string { return &c.Proxy.Resolvers })},
	{"COMPRESSION_ALGO", text(func(c *node.Config) *string { return &c.Proxy.CompressionAlgo })},
	{"COMPRESSION_TYPE", text(func(c *node.Config) *string { return &c.Proxy.CompressionType })},
	{"EXTRA_FRONTEND", list(",", func(c *node.Config) *[]string { return &c.Proxy.ExtraFrontend })},
	{"EXTRA_GLOBAL", list(",", func(c *node.Config) *[]string { return &c.Proxy.ExtraGlobal })},
	{"CAPTURE_REQUEST_HEADER", list(",", func(c *node.Config) *[]string { return &c.Proxy.CaptureRequestHeader })},
	{"DEBUG", boolean(func(c *node.Config) *bool { return &c.Proxy.AccessLog.Enabled })},
	{"DEBUG_ERRORS_ONLY", boolean(func(c *node.Config) *bool { return &c.Proxy.AccessLog.ErrorsOnly })},
	{"DEBUG_HTTP_FORMAT", text(func(c *node.Config) *string { return &c.Proxy.AccessLog.HTTPFormat })},
	{"DEBUG_TCP_FORMAT", text(func(c *node.Config) *string { return &c.Proxy.AccessLog.TCPFormat })},
	{"SSL_BIND_OPTIONS", text(func(c *node.Config) *string { return &c.Proxy.SSLBindOptions })},
	{"SSL_BIND_CIPHERS", text(func(c *node.Config) *string { return &c.Proxy.SSLBindCiphers })},
	{"ENABLE_H2", boolean(func(c *node.Config) *bool { return &c.Proxy.EnableH2 })},
	{"CRT_LIST_PATH", path(func(c *node.Config) *string { return &c.Proxy.CrtList })},
	{"PREFERRED_CERTIFICATE", list(",", func(c *node.Config) *[]string { return &c.Proxy.PreferredCertificate })},
	{"CA_FILE", path(func(c *node.Config) *string { return &c.Proxy.CAFile })},
}

// dfpWithout are variables that change nothing here, with what takes their place.
var dfpWithout = map[string]string{
	"RELOAD_ATTEMPTS":         "a replica retries until it has its state",
	"RECONFIGURE_ATTEMPTS":    "loads are verified and retried",
	"TERMINATE_ON_RELOAD":     "loads never cut connections",
	"CFG_TEMPLATE_PATH":       "the base configuration is built in; use EXTRA_GLOBAL and EXTRA_FRONTEND",
	"MODE":                    "every replica keeps the state of all",
	"CERTS":                   "put certificates into /certs, or into secrets that are called cert-*",
	"HEALTHCHECK":             "use `sluice healthcheck`",
	"DO_NOT_RESOLVE_ADDR":     "names that do not resolve never block a start here",
	"DNS_LOOKUP_PAUSE_MS":     "certificates are not fetched from other replicas",
	"DISPLAY_CONFIG_ON_ERROR": "GET /v1/docker-flow-proxy/config shows the configuration",
}

// applyDFP sets what Docker Flow Proxy's variables and dfp_* secrets say; a secret wins
// over its variable. All problems are reported at once.
func applyDFP(c *node.Config, env variables) error {
	errs := []error{applyPorts(c, env), applyStats(c, env)}
	for _, v := range dfpVariables {
		value, err := dfpValue(c, env, v.name)
		if err == nil && value != "" {
			err = v.set(c, value)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", v.name, err))
		}
	}
	if env["SEPARATOR"] == "" {
		if _, given := env["SEPARATOR"]; given {
			c.Separator = ""
		}
	}
	mode, err := dfpValue(c, env, defaultProtocol)
	if err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", defaultProtocol, err))
	}
	applyServices(c, env, mode)
	c.Warnings = append(c.Warnings, withoutEffect(env)...)
	return errors.Join(errs...)
}

// applyPorts reads DEFAULT_PORTS and BIND_PORTS, which need the address they lack. After an
// error the defaults stay, so that no ports at all are not one more problem.
func applyPorts(c *node.Config, env variables) error {
	var errs []error
	var all []proxy.Bind
	for _, name := range []string{proxy.DefaultPorts, proxy.BindPorts} {
		value, err := dfpValue(c, env, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		if value == "" && name == proxy.DefaultPorts {
			value = "80,443:ssl"
		}
		binds, err := proxy.ParseBinds(name, value, c.Proxy.BindAddr)
		errs = append(errs, err)
		all = append(all, binds...)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c.Proxy.Binds = all
	return nil
}

// dfpValue is the secret dfp_<name>, trailing line ends cut, else the variable.
func dfpValue(c *node.Config, env variables, name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(c.Proxy.SecretsDir, "dfp_"+strings.ToLower(name)))
	switch {
	case err == nil:
		return strings.TrimRight(string(data), "\r\n"), nil
	case errors.Is(err, os.ErrNotExist):
		return env[name], nil
	}
	return "", err
}

func withoutEffect(env variables) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(dfpWithout)) {
		if env[name] != "" {
			out = append(out, name+" has no effect: "+dfpWithout[name])
		}
	}
	return out
}

func text(field func(*node.Config) *string) func(*node.Config, string) error {
	return func(c *node.Config, v string) error {
		*field(c) = v
		return nil
	}
}

// path is text that does not depend on the working directory.
func path(field func(*node.Config) *string) func(*node.Config, string) error {
	return func(c *node.Config, v string) (err error) {
		*field(c), err = filepath.Abs(v)
		return err
	}
}

func list(separator string, field func(*node.Config) *[]string) func(*node.Config, string) error {
	return func(c *node.Config, v string) error {
		*field(c) = strings.Split(v, separator)
		return nil
	}
}

func boolean(field func(*node.Config) *bool) func(*node.Config, string) error {
	return func(c *node.Config, v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%.40q is neither true nor false", v)
		}
		*field(c) = b
		return nil
	}
}

func seconds(field func(*node.Config) *int) func(*node.Config, string) error {
	return whole("is not a whole number of seconds", field)
}

func number(field func(*node.Config) *int) func(*node.Config, string) error {
	return whole("is not a whole number", field)
}

func whole(problem string, field func(*node.Config) *int) func(*node.Config, string) error {
	return func(c *node.Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("%.40q %s", v, problem)
		}
		*field(c) = n
		return nil
	}
}
