package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"github.com/dormer-project/dormer"
)

// TLSMode says where the server's certificate comes from.
type TLSMode string

// The modes of TLS.
const (
	TLSAuthority TLSMode = "authority"
	TLSFiles     TLSMode = "files"
	TLSOff       TLSMode = "off"
)

// Duration is a time.Duration that is written as "90s", "12h" or "30d".
type Duration time.Duration

// UnmarshalText reads a duration; d stands for 24 hours.
func (d *Duration) UnmarshalText(b []byte) error {
	const most = 100 * 365 * 24 // hours
	var v time.Duration
	var err error
	if days, ok := strings.CutSuffix(string(b), "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		v = time.Duration(min(max(n, -1), most/24+1)) * 24 * time.Hour
	} else {
		v, err = time.ParseDuration(string(b))
	}
	if err != nil || v < 0 || v > most*time.Hour {
		return errors.New(`expected a duration such as "90s", "12h" or "30d"`)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) {
	v := time.Duration(d)
	if day := 24 * time.Hour; v >= day && v%day == 0 {
		return fmt.Appendf(nil, "%dd", v/day), nil
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return []byte(s), nil
}

// Config is the configuration file of dormerd. The tag doc explains each key
// in `dormerd config --explain`.
type Config struct {
	Data           string   `toml:"data" doc:"Folder of everything the server keeps. Only one server at a time may use it."`
	Listen         []string `toml:"listen" doc:"Addresses and ports to listen on, as \"0.0.0.0:8443\" or \"[::]:8443\"."`
	PublicURLs     []string `toml:"public_urls" doc:"Base URLs under which clients and people reach this instance, in the order in which clients try them. A path, as in https://www.example.com/dormer, is for a proxy that has the server below it; whether the proxy takes the path off does not matter. Empty: https, this computer's name and the port of the first listen address."`
	TrustedProxies []string `toml:"trusted_proxies" doc:"Addresses or prefixes of reverse proxies whose X-Forwarded-For is believed, as \"10.0.0.0/8\"."`

	TimeZone string `toml:"time_zone" doc:"Time zone in which dates of workspaces end that name none, as \"Europe/Berlin\"."`

	TLS        TLSConfig        `toml:"tls"`
	State      StateConfig      `toml:"state"`
	Events     EventsConfig     `toml:"events"`
	Repository RepositoryConfig `toml:"repository"`
	Clients    ClientsConfig    `toml:"clients"`
	Access     AccessConfig     `toml:"access"`
	Kerberos   KerberosConfig   `toml:"kerberos"`
	Standby    StandbyConfig    `toml:"standby"`
	Audit      AuditConfig      `toml:"audit"`
	Forward    ForwardConfig    `toml:"forward"`
	Log        LogConfig        `toml:"log"`
	Metrics    MetricsConfig    `toml:"metrics"`

	Directories []DirectoryConfig `toml:"directories" doc:"A directory whose users and groups can be granted to and sign in, beside the embedded one; as many as there are."`
	Providers   []ProviderConfig  `toml:"providers" doc:"An OpenID Connect provider by which people sign in; as many as there are."`
}

// TLSConfig is the section [tls].
type TLSConfig struct {
	Mode        TLSMode    `toml:"mode" doc:"Where the certificate comes from: \"authority\" (the instance's own, renewed by itself), \"files\" (certificate and key below), \"acme\" (issued by an ACME server, such as Let's Encrypt, for the names of public_urls and names), or \"off\" (plain HTTP: passwords and keys cross the network readable; only behind a proxy on the same computer)."`
	Certificate string     `toml:"certificate" doc:"File with the certificate and those between it and its root (PEM), for mode \"files\". It is read again when it changes."`
	Key         string     `toml:"key" doc:"File with the key of the certificate (PEM), for mode \"files\"."`
	Names       []string   `toml:"names" doc:"More names and addresses for the certificate of the own authority, beside localhost, this computer's name and those of public_urls; in mode \"acme\" more names for which certificates are issued."`
	ACME        ACMEConfig `toml:"acme"`
}

// StateConfig is the section [state].
type StateConfig struct {
	DSN string `toml:"dsn" doc:"Database of users, workspaces, clients and the audit log: \"sqlite:PATH\" or \"postgres://...\". Empty: state.db in the data folder."`
}

// EventsConfig is the section [events].
type EventsConfig struct {
	DSN           string `toml:"dsn" doc:"Database of events: \"sqlite:PATH\" or \"postgres://...\"; instances may share one. Empty: events.db in the data folder."`
	Queue         int    `toml:"queue" doc:"How many events may wait to be stored; beyond that clients are told to come back later. Each takes some 500 bytes."`
	RetentionDays int    `toml:"retention_days" doc:"Events older than so many days are removed, a whole day (UTC) at a time; 0 keeps them for good."`
	ReportsDSN    string `toml:"reports_dsn" doc:"Where several instances share a database of events on PostgreSQL: the URL with a role that may read all of them, for reports over more than this instance. Empty: reports are over this instance only."`
}

// RepositoryConfig is the section [repository].
type RepositoryConfig struct {
	Folder string `toml:"folder" doc:"Folder of the images. Empty: repository in the data folder."`
}

// ClientsConfig is the section [clients].
type ClientsConfig struct {
	PollInterval  Duration `toml:"poll_interval" doc:"How often clients ask for changes and send their events."`
	SessionLength Duration `toml:"session_length" doc:"How long users stay signed in on a client."`
	SavePasswords bool     `toml:"save_passwords" doc:"Whether users may have their password saved on a client, sealed to its key, where a grant allows it too (savePassword). Clients delete what was saved when this is turned off."`
}

// AccessConfig is the section [access].
type AccessConfig struct {
	DefaultDirectory string   `toml:"default_directory" doc:"Directory of users who name none: \"local\" (the embedded one) or a name of directories."`
	DirectoryAge     Duration `toml:"directory_age" doc:"How long what a directory said of a user on a client (groups, whether the account is good) counts before it is asked again."`
	SessionLength    Duration `toml:"session_length" doc:"How long operators stay signed in."`
	PasswordChecks   int      `toml:"password_checks" doc:"How many passwords are checked at once; each takes 19 MiB and some 30 ms of a processor."`
}

// LogConfig is the section [log].
type LogConfig struct {
	Format string `toml:"format" doc:"\"text\" or \"json\"."`
	Level  string `toml:"level" doc:"\"debug\", \"info\", \"warn\" or \"error\"."`
}

// Default returns the configuration that holds where the file says nothing.
func Default() Config {
	return Config{
		Data:     "/var/lib/dormer",
		Listen:   []string{"0.0.0.0:8443"},
		TLS:      TLSConfig{Mode: TLSAuthority, ACME: ACMEConfig{DirectoryURL: autocert.DefaultACMEDirectory}},
		Events:   EventsConfig{Queue: 50_000, RetentionDays: 90},
		TimeZone: "UTC",
		Clients:  ClientsConfig{PollInterval: Duration(time.Minute), SessionLength: Duration(30 * 24 * time.Hour)},
		Access:   AccessConfig{DefaultDirectory: dormer.EmbeddedDirectory, SessionLength: Duration(12 * time.Hour), PasswordChecks: 2, DirectoryAge: Duration(15 * time.Minute)},
		Standby:  StandbyConfig{Interval: Duration(time.Second), Repository: true},
		Log:      LogConfig{Format: "text", Level: "info"},
	}
}

// Limits of settings.
const (
	minPollInterval = time.Second
	maxPollInterval = time.Hour
	maxPasswords    = 64
	minQueue        = 1000
	maxQueue        = 10_000_000
	minDirectoryAge = time.Second
	maxDirectoryAge = 24 * time.Hour
)

// Validate returns an *dormer.InvalidError that names every wrong setting.
func (c *Config) Validate() error {
	var wrong []dormer.FieldError
	add := func(path, format string, args ...any) {
		wrong = append(wrong, dormer.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if !filepath.IsAbs(c.Data) {
		add("data", "must be the absolute path of a folder")
	}
	if len(c.Listen) == 0 {
		add("listen", "at least one address is needed")
	}
	for i, l := range c.Listen {
		if _, port, err := net.SplitHostPort(l); err != nil || port == "" {
			add(fmt.Sprintf("listen[%d]", i), `must be an address and a port, as "0.0.0.0:8443"`)
		}
	}
	for i, u := range c.PublicURLs {
		c.checkPublicURL(u, func(format string, args ...any) { add(fmt.Sprintf("public_urls[%d]", i), format, args...) })
	}
	for i, p := range c.TrustedProxies {
		if _, err := parsePrefix(p); err != nil {
			add(fmt.Sprintf("trusted_proxies[%d]", i), `must be an address or a prefix, as "10.0.0.0/8"`)
		}
	}
	if _, err := time.LoadLocation(c.TimeZone); err != nil || c.TimeZone == "" || c.TimeZone == "Local" {
		add("time_zone", `must be the name of a time zone, as "UTC" or "Europe/Berlin"`)
	}
	switch c.TLS.Mode {
	case TLSAuthority, TLSACME, TLSOff:
		if c.TLS.Certificate != "" || c.TLS.Key != "" {
			add("tls.mode", `must be "files" for tls.certificate and tls.key to count`)
		}
	case TLSFiles:
		if !filepath.IsAbs(c.TLS.Certificate) {
			add("tls.certificate", "must be the absolute path of a file")
		}
		if !filepath.IsAbs(c.TLS.Key) {
			add("tls.key", "must be the absolute path of a file")
		}
	default:
		add("tls.mode", `must be "authority", "files", "acme" or "off"`)
	}
	if c.TLS.Mode == TLSACME {
		c.checkACME(add)
	}
	checkDSN := func(path, dsn string) {
		sqlite, isSQLite := strings.CutPrefix(dsn, "sqlite:")
		if dsn != "" && !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") && (!isSQLite || !filepath.IsAbs(sqlite)) {
			add(path, `must be "sqlite:" and an absolute path, or "postgres://..."`)
		}
	}
	checkDSN("state.dsn", c.State.DSN)
	checkDSN("events.dsn", c.Events.DSN)
	if c.Events.Queue < minQueue || c.Events.Queue > maxQueue {
		add("events.queue", "must be from %d to %d", minQueue, maxQueue)
	}
	if c.Events.RetentionDays < 0 {
		add("events.retention_days", "must not be negative")
	}
	c.checkReports(add)
	if c.Repository.Folder != "" && !filepath.IsAbs(c.Repository.Folder) {
		add("repository.folder", "must be the absolute path of a folder")
	}
	within := func(path string, d Duration, least, most time.Duration) {
		if v := time.Duration(d); v < least || v > most {
			add(path, "must be from %s to %s", least, most)
		}
	}
	within("clients.poll_interval", c.Clients.PollInterval, minPollInterval, maxPollInterval)
	within("clients.session_length", c.Clients.SessionLength, time.Minute, 400*24*time.Hour)
	within("access.session_length", c.Access.SessionLength, time.Minute, 30*24*time.Hour)
	within("access.directory_age", c.Access.DirectoryAge, minDirectoryAge, maxDirectoryAge)
	c.checkPeople(add)
	c.checkForward(add)
	c.checkMetrics(add)
	c.checkStandby(add)
	if c.Access.PasswordChecks < 1 || c.Access.PasswordChecks > maxPasswords {
		add("access.password_checks", "must be from 1 to %d", maxPasswords)
	}
	if !slices.Contains([]string{"text", "json"}, c.Log.Format) {
		add("log.format", `must be "text" or "json"`)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		add("log.level", `must be "debug", "info", "warn" or "error"`)
	}
	if len(wrong) > 0 {
		return &dormer.InvalidError{Fields: wrong}
	}
	return nil
}

func (c *Config) checkPublicURL(s string, add func(format string, args ...any)) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		add(`must be the base URL of the server, as "https://dormer.example.com:8443"`)
	case prefixFault(u) != "":
		add("%s", prefixFault(u))
	case u.Scheme == "http" && c.TLS.Mode != TLSOff:
		add(`must begin with https:// unless tls.mode is "off"`)
	case u.Scheme != "http" && u.Scheme != "https":
		add("must begin with https://")
	}
}

// parsePrefix reads an address or a prefix.
func parsePrefix(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Prefix(ip.BitLen())
	}
	return netip.ParsePrefix(s)
}

func (c *Config) stateDSN() string {
	if c.State.DSN != "" {
		return c.State.DSN
	}
	return "sqlite:" + filepath.Join(c.Data, fileState)
}

func (c *Config) eventsDSN() string {
	if c.Events.DSN != "" {
		return c.Events.DSN
	}
	return "sqlite:" + filepath.Join(c.Data, fileEvents)
}

func (c *Config) repositoryFolder() string {
	if c.Repository.Folder != "" {
		return c.Repository.Folder
	}
	return filepath.Join(c.Data, dirRepository)
}

// publicURLs returns the configured URLs, or the one that is made of hostname.
func (c *Config) publicURLs(hostname string) []string {
	if len(c.PublicURLs) > 0 {
		urls := make([]string, len(c.PublicURLs))
		for i, u := range c.PublicURLs {
			urls[i] = strings.TrimRight(u, "/")
		}
		return urls
	}
	scheme := "https"
	if c.TLS.Mode == TLSOff {
		scheme = "http"
	}
	_, port, err := net.SplitHostPort(c.Listen[0])
	if err != nil {
		port = "8443"
	}
	return []string{scheme + "://" + net.JoinHostPort(hostname, port)}
}
