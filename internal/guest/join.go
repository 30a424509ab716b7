package guest

import (
	"net"
	"regexp"
	"strings"
	"unicode"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// hostnamePattern is the form of computer names.
var hostnamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// maxBlob bounds what an off-line join is told, in bytes.
const maxBlob = 256 << 10

func checkJoin(r guestwire.JoinRequest) error {
	ways := 0
	for _, given := range []bool{r.Password != "", len(r.Blob) > 0, r.User != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return dormer.Invalidf("password", "exactly one of a one-time password, a blob and a user is needed")
	case !isDomain(r.Domain) || !strings.Contains(r.Domain, "."):
		return dormer.Invalidf("domain", "must be the full name of a domain")
	case r.NetBIOSName != "" && (len(r.NetBIOSName) > 15 || !isDomain(r.NetBIOSName)):
		return dormer.Invalidf("netbios_name", "must have at most 15 letters, digits and hyphens")
	case len(r.Computer) > 15 || !hostnamePattern.MatchString(r.Computer):
		return dormer.Invalidf("computer", "must have at most 15 letters, digits and hyphens")
	case r.FQDN != "" && !isDomain(r.FQDN):
		return dormer.Invalidf("fqdn", "must be a full name")
	case len(r.OrganizationalUnit) > 1024 || strings.ContainsFunc(r.OrganizationalUnit, unicode.IsControl):
		return dormer.Invalidf("organizational_unit", "must be a distinguished name")
	case len(r.Servers) > maxServers:
		return dormer.Invalidf("servers", "are more than %d", maxServers)
	case len(r.Blob) > maxBlob:
		return dormer.Invalidf("blob", "is longer than %d bytes", maxBlob)
	}
	for _, s := range r.Servers {
		if !isDomain(s) && net.ParseIP(s) == nil {
			return dormer.Invalidf("servers", "must be names or addresses")
		}
	}
	if r.User != "" {
		if err := checkJoinUser(r.User); err != nil {
			return err
		}
	}
	if err := checkPassword("user_password", r.UserPassword); err != nil {
		return err
	}
	return checkPassword("password", r.Password)
}

// checkJoinUser checks who joins: a name, or name@realm of another domain.
func checkJoinUser(user string) error {
	name, realm, found := strings.Cut(user, "@")
	if found && !isDomain(realm) {
		return dormer.Invalidf("user", "must be a name, or a name and its domain after an @")
	}
	return checkUser("user", name)
}
