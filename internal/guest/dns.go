package guest

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// Limits of what is set.
const (
	maxServers  = 8
	maxSuffixes = 16
	maxName     = 253
)

var domainPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$`)

func isDomain(name string) bool { return len(name) <= maxName && domainPattern.MatchString(name) }

func checkDNS(r guestwire.DNSRequest) error {
	if len(r.Servers) > maxServers {
		return dormer.Invalidf("servers", "are more than %d", maxServers)
	}
	if len(r.Suffixes) > maxSuffixes {
		return dormer.Invalidf("suffixes", "are more than %d", maxSuffixes)
	}
	for _, s := range r.Servers {
		if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" {
			return dormer.Invalidf("servers", "must be addresses")
		}
	}
	for _, s := range r.Suffixes {
		if !isDomain(strings.TrimSuffix(s, ".")) {
			return dormer.Invalidf("suffixes", "must be names of domains")
		}
	}
	return nil
}
