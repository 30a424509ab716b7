package openid

import (
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
)

// maxRedirect is the longest address that a browser may be sent back to, in
// bytes.
const maxRedirect = 2048

// checkRedirect says whether a browser may be sent back to an address: one of
// this computer (http://127.0.0.1:PORT/..., http://[::1]:PORT/...), where a
// command line listens (RFC 8252), or one below a base. Whoever could name
// another one would get other people's codes.
func checkRedirect(address string, bases []string) error {
	refused := dormer.Invalidf("redirect_uri", "is http://127.0.0.1:PORT/..., http://[::1]:PORT/... or an address of this instance, without query")
	if len(address) > maxRedirect || !plain(address) {
		return refused
	}
	u, err := url.Parse(address)
	if err != nil || u.Opaque != "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "" || u.String() != address {
		return refused
	}
	if p := cleaned(u.Path); p != u.Path {
		return refused
	}
	if u.Scheme == "http" && loopback(u.Host) {
		return nil
	}
	for _, base := range bases {
		if b, err := url.Parse(base); err == nil && u.Scheme == "https" && strings.EqualFold(b.Host, u.Host) && below(u.Path, b.Path) {
			return nil
		}
	}
	return refused
}

// plain reports whether s has only printable ASCII characters that have no
// second meaning in any reader of addresses. Percent signs are left out: an
// escaped path may be read in two ways.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\\%\"<>^`{|}#?@*", r) })
}

// cleaned is p without dot segments and doubled slashes; a slash at the end
// stays.
func cleaned(p string) string {
	if p == "" || p == "/" {
		return p
	}
	c := path.Clean(p)
	if strings.HasSuffix(p, "/") && c != "/" {
		c += "/"
	}
	return c
}

// loopback reports whether host is a loopback address as RFC 8252 has it, with
// a port. The name localhost is not: who answers to it depends on the computer.
func loopback(host string) bool {
	for _, ip := range []string{"127.0.0.1:", "[::1]:"} {
		if port, ok := strings.CutPrefix(host, ip); ok {
			n, err := strconv.ParseUint(port, 10, 16)
			return err == nil && n > 0 && port == strconv.FormatUint(n, 10)
		}
	}
	return false
}

// below reports whether path p is base or in it.
func below(p, base string) bool {
	base = strings.TrimSuffix(base, "/")
	return p == base || strings.HasPrefix(p, base+"/")
}

// trustworthy reports whether what is read from an address can be believed:
// https, or http that does not leave this computer.
func trustworthy(u *url.URL) bool {
	if u.Host == "" || u.User != nil || u.Opaque != "" {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && err == nil && ip.IsLoopback()
}
