package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/standby"
)

// StandbyConfig is the section [standby].
type StandbyConfig struct {
	Target          string   `toml:"target" doc:"Where this server keeps a copy of itself from which a standby takes over: \"file:///folder\" on another computer's disk, \"s3://bucket/prefix\" or \"sftp://user@host:port/folder\". On the standby the same. Empty: none. For databases on SQLite; PostgreSQL has its own standby."`
	KeyFile         string   `toml:"key_file" doc:"File with an age identity (AGE-SECRET-KEY-1...) or a passphrase of at least 16 characters that encrypts keys and configuration at the target; the same on primary and standby. The databases there are not encrypted by it."`
	Interval        Duration `toml:"interval" doc:"How often changes of the databases are brought to the target, and looked for by the standby. On S3 each time costs a few requests."`
	Repository      bool     `toml:"repository" doc:"Whether images are copied too. Turn it off, on both sides, where the repository's folder is one that the standby reaches as well."`
	S3Endpoint      string   `toml:"s3_endpoint" doc:"URL of the S3 server, unless it is Amazon's."`
	S3Region        string   `toml:"s3_region" doc:"Region of the bucket; empty: us-east-1."`
	CredentialsFile string   `toml:"credentials_file" doc:"File with the access key's identifier and secret for S3, on two lines. Empty: as the AWS command line finds them."`
	SSHKeyFile      string   `toml:"ssh_key_file" doc:"File with the private key for SFTP, without a passphrase."`
	SSHHostKey      string   `toml:"ssh_host_key" doc:"Public key of the SFTP host, as a line of its /etc/ssh/ssh_host_ed25519_key.pub."`
	HealthListen    string   `toml:"health_listen" doc:"Address and port, as \"127.0.0.1:9465\", at which the standby answers /healthz while it follows: 200 when it is up with the target, else 503. Empty: none."`
}

// Limits of [standby].
const (
	minShipInterval = 100 * time.Millisecond
	maxShipInterval = 10 * time.Minute
	maxCredentials  = 4096
)

// checkStandby names what is wrong with the section.
func (c *Config) checkStandby(add complain) {
	s := c.Standby
	if s.Target == "" {
		return
	}
	if err := standby.CheckURL(s.Target); err != nil {
		if invalid, ok := errors.AsType[*dormer.InvalidError](err); ok {
			add("standby.target", "%s", invalid.Fields[0].Message)
		}
	}
	if !strings.HasPrefix(c.stateDSN(), "sqlite:") {
		add("standby.target", "is for a state database on SQLite: take the section out; PostgreSQL has its own standby (docs/standby-postgresql.md)")
	}
	if !filepath.IsAbs(s.KeyFile) {
		add("standby.key_file", "must be the absolute path of a file")
	}
	if d := time.Duration(s.Interval); d < minShipInterval || d > maxShipInterval {
		add("standby.interval", "must be from %s to %s", minShipInterval, maxShipInterval)
	}
	if s.CredentialsFile != "" && !filepath.IsAbs(s.CredentialsFile) {
		add("standby.credentials_file", "must be the absolute path of a file")
	}
	if s.S3Endpoint != "" && !strings.HasPrefix(s.S3Endpoint, "https://") && !strings.HasPrefix(s.S3Endpoint, "http://") {
		add("standby.s3_endpoint", "must be a URL")
	}
	if strings.HasPrefix(s.Target, "sftp:") {
		if !filepath.IsAbs(s.SSHKeyFile) {
			add("standby.ssh_key_file", "must be the absolute path of a file")
		}
		if s.SSHHostKey == "" {
			add("standby.ssh_host_key", "is needed, so that the host is known")
		}
	}
	if s.HealthListen != "" {
		if _, port, err := net.SplitHostPort(s.HealthListen); err != nil || port == "" {
			add("standby.health_listen", `must be an address and a port, as "127.0.0.1:9465"`)
		}
	}
}

// openTarget opens the target and reads the key to what is secret there.
func (c *Config) openTarget(d Deps) (*standby.Target, *standby.Lock, error) {
	s := c.Standby
	for setting, path := range map[string]string{
		"standby.key_file": s.KeyFile, "standby.credentials_file": s.CredentialsFile, "standby.ssh_key_file": s.SSHKeyFile,
	} {
		if path == "" {
			continue
		}
		if err := checkPrivate(setting, path); err != nil {
			return nil, nil, err
		}
	}
	lock, err := standby.ReadLock(s.KeyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("setting standby.key_file: %w", err)
	}
	t := standby.TargetConfig{
		URL: s.Target, Endpoint: s.S3Endpoint, Region: s.S3Region, SSHKeyFile: s.SSHKeyFile, HostKey: s.SSHHostKey, Logger: d.Logger,
	}
	if s.CredentialsFile != "" {
		b, err := os.ReadFile(s.CredentialsFile)
		if err != nil {
			return nil, nil, fmt.Errorf("setting standby.credentials_file: %w", durable.Kind(err))
		}
		lines := strings.Fields(string(b))
		if len(lines) != 2 || len(b) > maxCredentials {
			return nil, nil, dormer.Invalidf("standby.credentials_file", "must hold the access key's identifier and its secret, on two lines")
		}
		t.AccessKey, t.SecretKey = lines[0], lines[1]
	}
	target, err := standby.OpenTarget(t)
	if err != nil {
		return nil, nil, fmt.Errorf("setting standby.target: %w", err)
	}
	return target, lock, nil
}

// shippedDatabases are the SQLite files of the instance by their names at the
// target.
func (c *Config) shippedDatabases() map[string]string {
	all := map[string]string{}
	for name, dsn := range map[string]string{"state": c.stateDSN(), "events": c.eventsDSN()} {
		if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
			all[name] = path
		}
	}
	return all
}

// shippedRepository is the folder of images, "" where it is not shipped.
func (c *Config) shippedRepository() string {
	if !c.Standby.Repository {
		return ""
	}
	return c.repositoryFolder()
}
