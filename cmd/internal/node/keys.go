package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"sluice/crdt/seal"
	"sluice/crdt/service"
	"sluice/events/api"
)

const generatedKey = "cluster.key"

// clusterKey reads the key that seals secrets. A single node makes one itself and keeps
// it in its data directory; nil in a cluster that was given none.
func clusterKey(c Config) (*seal.Key, error) {
	if path := c.clusterKeyPath(); path != "" {
		text, err := readSecret(path, setKey)
		if err != nil {
			return nil, err
		}
		return parseKey(path, text)
	}
	if !c.NATS.Embedded() {
		return nil, nil
	}
	path := filepath.Join(c.DataDir, generatedKey)
	text, err := readSecret(path, setKey)
	if _, statErr := os.Stat(path); errors.Is(statErr, fs.ErrNotExist) {
		if text, err = seal.Generate(rand.Reader); err == nil {
			err = WriteFile(path, []byte(text+"\n"), 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	return parseKey(path, text)
}

// clusterKeyPath is the file of a key that was given, empty for none.
func (c Config) clusterKeyPath() string { return c.secret(c.ClusterKeyFile, "sluice_cluster_key") }

func parseKey(path, text string) (*seal.Key, error) {
	key, err := seal.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", setKey, path, err)
	}
	return key, nil
}

// tokens reads the access tokens; none if there is no file.
func tokens(c Config) (api.Tokens, error) {
	path := c.secret(c.TokensFile, "sluice_tokens")
	if path == "" {
		return api.Tokens{}, nil
	}
	text, err := readSecret(path, setTokens)
	if err != nil {
		return api.Tokens{}, err
	}
	t, err := api.ParseTokens([]byte(text))
	if err != nil {
		return api.Tokens{}, fmt.Errorf("%s %q: %w", setTokens, path, err)
	}
	return t, nil
}

// globalUsers reads the environment's user list, as that of a service.
func globalUsers(c Config) (service.Service, error) {
	if c.Users == "" {
		return service.Service{}, nil
	}
	// The same parser as for a service's own users, so that both take the same forms.
	req, err := service.Parse(url.Values{
		"serviceName": {"global"}, "servicePath": {"/"}, "port": {"80"},
		"users": {c.Users}, "usersPassEncrypted": {strconv.FormatBool(c.UsersPassEncrypted)},
	}, service.Defaults{Separator: ","})
	if err == nil {
		err = req.Service.Validate(service.Limits{})
	}
	if err != nil { // not to be taken for a refused definition
		return service.Service{}, fmt.Errorf("USERS: %v", err)
	}
	return req.Service, nil
}

// localKey protects what stays on this replica where the cluster has no key.
func localKey() (*seal.Key, error) {
	text, err := seal.Generate(rand.Reader)
	if err != nil {
		return nil, err
	}
	return seal.Parse(text)
}
