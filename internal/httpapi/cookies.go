package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// The console keeps its session in a cookie, which no script can read. Browsers
// send cookies with whatever any site makes them ask, so that requests which
// other sites caused are refused.

// cookieName is that of the session's cookie. It holds the instance, for
// several may be behind one host name. Browsers let nobody set a cookie with
// the prefix __Host- but the host itself, over TLS.
func (c *call) cookieName() string {
	id, _ := c.api.Instance()
	called := "dormer-" + string(id)
	if c.secure() {
		return "__Host-" + called
	}
	return called
}

// secure reports whether the browser asked over TLS, as far as is known here.
func (c *call) secure() bool {
	return c.r.TLS != nil || fromProxy(c.r, c.api.TrustedProxies) && strings.EqualFold(c.r.Header.Get("X-Forwarded-Proto"), "https")
}

// cookie makes the session's cookie; until in the past takes it away.
func (c *call) cookie(token string, until time.Time) *http.Cookie {
	return &http.Cookie{
		Name: c.cookieName(), Value: token, Path: "/", Expires: until,
		Secure: c.secure(), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// token returns the token of the request, from the header or else from the
// cookie. ErrUnauthenticated, or ErrDenied for a cookie with what another site
// caused.
func (c *call) token() (string, error) {
	if header := c.r.Header.Get("Authorization"); header != "" {
		token, ok := strings.CutPrefix(header, "Bearer ")
		if !ok {
			return "", dormer.ErrUnauthenticated
		}
		return token, nil
	}
	kept, err := c.r.Cookie(c.cookieName())
	if err != nil {
		return "", dormer.ErrUnauthenticated
	}
	if err := http.NewCrossOriginProtection().Check(c.r); err != nil {
		return "", fmt.Errorf("this is not taken from other sites: %w", dormer.ErrDenied)
	}
	return kept.Value, nil
}
