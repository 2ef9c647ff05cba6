package proxy

import "path/filepath"

// SocketPath is where HAProxy's workers answer commands.
func SocketPath(o *Options) string { return filepath.Join(o.runDir(), "haproxy.sock") }

// MasterSocketPath is where HAProxy's master answers commands.
func MasterSocketPath(o *Options) string { return filepath.Join(o.runDir(), "master.sock") }

// ConfigPath is the configuration file that HAProxy runs with.
func ConfigPath(o *Options) string { return filepath.Join(o.CfgDir, ConfigFile) }

// PoolPath is the second configuration file, which HAProxy reads behind the first one.
func PoolPath(o *Options) string { return filepath.Join(o.CfgDir, poolFile) }
