package server

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/forward"
)

// ForwardConfig is the section [forward].
type ForwardConfig struct {
	Webhooks []WebhookConfig `toml:"webhooks" doc:"A web service that events and alerts are posted to as JSON, signed; as many as there are. See docs/alerts.md."`
	Syslog   []SyslogConfig  `toml:"syslog" doc:"A syslog server that events and alerts are sent to (RFC 5424); as many as there are."`
}

// WebhookConfig is one [[forward.webhooks]].
type WebhookConfig struct {
	Name       string   `toml:"name" doc:"Name of the receiver in events and alerts. How far it has come is kept under it: a new name begins with what happens from then on."`
	URL        string   `toml:"url" doc:"Where events are posted, as \"https://hooks.example.com/dormer\". Redirections are not followed."`
	SecretFile string   `toml:"secret_file" doc:"File with the secret that requests are signed with (whsec_ and base64), readable by the server's user alone. It is read for each request, so that a new secret counts at once."`
	Authority  string   `toml:"authority" doc:"File with the certificates (PEM) of the authority that the receiver's certificate is from. Empty: those that this computer trusts."`
	Severities []string `toml:"severities" doc:"Only events of these: \"information\", \"warning\", \"error\". Empty: all. Alerts are always forwarded."`
	Codes      []int    `toml:"codes" doc:"Only events of these codes; docs/events.md lists them. Empty: all. Alerts are always forwarded."`
}

// SyslogConfig is one [[forward.syslog]].
type SyslogConfig struct {
	Name       string   `toml:"name" doc:"Name of the receiver in events and alerts, as that of a webhook."`
	Address    string   `toml:"address" doc:"Host and port, as \"logs.example.com:6514\"."`
	Protocol   string   `toml:"protocol" doc:"\"tls\" (RFC 5425), \"tcp\" (RFC 6587, octets counted; readable on the network), or \"udp\" (RFC 5426; readable, and nobody notices what is lost)."`
	Authority  string   `toml:"authority" doc:"File with the certificates (PEM) of the authority that the server's certificate is from, for protocol \"tls\". Empty: those that this computer trusts."`
	Facility   string   `toml:"facility" doc:"Facility of the messages: \"user\", \"daemon\", \"auth\", \"authpriv\", or \"local0\" to \"local7\"."`
	Enterprise int      `toml:"enterprise" doc:"Private enterprise number in the name of the structured data, dormer@NUMBER. 32473 is the one for examples: Dormer has none of its own. Put that of your organization if your receiver goes by it."`
	Severities []string `toml:"severities" doc:"Only events of these: \"information\", \"warning\", \"error\". Empty: all. Alerts are always forwarded."`
	Codes      []int    `toml:"codes" doc:"Only events of these codes. Empty: all. Alerts are always forwarded."`
}

// Defaults of [[forward.syslog]].
const (
	defaultProtocol   = string(forward.TLS)
	defaultFacility   = "local0"
	defaultEnterprise = 32473
	maxReceivers      = 20
)

// sampleForward is what the explanation of the configuration shows.
func sampleForward() ForwardConfig {
	return ForwardConfig{
		Webhooks: []WebhookConfig{{Name: "pager", URL: "https://hooks.example.com/dormer", SecretFile: "/etc/dormer/pager-secret"}},
		Syslog: []SyslogConfig{{
			Name: "logs", Address: "logs.example.com:6514", Protocol: defaultProtocol, Facility: defaultFacility, Enterprise: defaultEnterprise,
		}},
	}
}

// withDefaults fills in what the file leaves out.
func (c SyslogConfig) withDefaults() SyslogConfig {
	if c.Protocol == "" {
		c.Protocol = defaultProtocol
	}
	if c.Facility == "" {
		c.Facility = defaultFacility
	}
	if c.Enterprise == 0 {
		c.Enterprise = defaultEnterprise
	}
	return c
}

// checkForward adds what is wrong with the section.
func (c *Config) checkForward(add func(path, format string, args ...any)) {
	if n := len(c.Forward.Webhooks) + len(c.Forward.Syslog); n > maxReceivers {
		add("forward", "at most %d receivers", maxReceivers)
	}
	names := map[string]bool{}
	common := func(path, name, authority string, severities []string, codes []int) {
		switch {
		case !receiverName(name):
			add(path+".name", "must be 1 to 100 letters, digits, dots, hyphens and underscores")
		case names[name]:
			add(path+".name", "must not be that of another receiver")
		}
		names[name] = true
		if authority != "" && !filepath.IsAbs(authority) {
			add(path+".authority", "must be the absolute path of a file")
		}
		for i, s := range severities {
			if !slices.Contains([]dormer.Severity{dormer.Information, dormer.Warning, dormer.Error}, dormer.Severity(s)) {
				add(fmt.Sprintf("%s.severities[%d]", path, i), "must be %q, %q or %q", dormer.Information, dormer.Warning, dormer.Error)
			}
		}
		for i, n := range codes {
			if _, known := event.KindOf(event.Code(n)); !known {
				add(fmt.Sprintf("%s.codes[%d]", path, i), "is no event of docs/events.md")
			}
		}
	}
	for i, w := range c.Forward.Webhooks {
		path := fmt.Sprintf("forward.webhooks[%d]", i)
		common(path, w.Name, w.Authority, w.Severities, w.Codes)
		if err := forward.CheckURL(w.URL); err != nil {
			add(path+".url", "%s", err)
		}
		if !filepath.IsAbs(w.SecretFile) {
			add(path+".secret_file", "must be the absolute path of a file")
		}
	}
	for i, s := range c.Forward.Syslog {
		path := fmt.Sprintf("forward.syslog[%d]", i)
		s = s.withDefaults()
		common(path, s.Name, s.Authority, s.Severities, s.Codes)
		host, port, err := net.SplitHostPort(s.Address)
		if n, wrong := strconv.Atoi(port); err != nil || host == "" || wrong != nil || n < 1 || n > 65535 {
			add(path+".address", `must be a host and a port, as "logs.example.com:6514"`)
		}
		if !slices.Contains([]forward.Protocol{forward.UDP, forward.TCP, forward.TLS}, forward.Protocol(s.Protocol)) {
			add(path+".protocol", `must be "tls", "tcp" or "udp"`)
		}
		if s.Authority != "" && s.Protocol != string(forward.TLS) {
			add(path+".authority", `counts for protocol "tls" alone`)
		}
		if !slices.Contains(forward.Facilities(), s.Facility) {
			add(path+".facility", "must be one of %s", strings.Join(forward.Facilities(), ", "))
		}
		if s.Enterprise < 1 {
			add(path+".enterprise", "must be a private enterprise number")
		}
	}
}

// receiverName reports whether a receiver can be called that.
func receiverName(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return s != "" && len(s) <= 100 && strings.Trim(s, allowed) == ""
}
