package desk

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/console"
)

const (
	// openPath takes the secret that counts once, in the query as openField.
	openPath  = "/open"
	openField = "secret"
	// secretBytes are enough that nobody guesses them.
	secretBytes = 32
)

// gate lets in the browser that the program opened, and nobody else.
type gate struct {
	host   string
	cookie string // name: cookies do not know ports
	kept   string // value of the cookie

	mu     sync.Mutex // guards the field below
	secret string     // empty: it was used
}

func newGate(host string, random io.Reader) (*gate, error) {
	var made [2]string
	for i := range made {
		b := make([]byte, secretBytes)
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, fmt.Errorf("make the console's secret: %w", err)
		}
		made[i] = base64.RawURLEncoding.EncodeToString(b)
	}
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		return nil, fmt.Errorf("address of the console: %w", err)
	}
	return &gate{host: host, cookie: "dormer-console-" + port, kept: made[0], secret: made[1]}, nil
}

func (g *gate) origin() string { return "http://" + g.host }

func (g *gate) address() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.origin() + openPath + "?" + openField + "=" + g.secret
}

// use reports whether the secret is right, which it is once.
func (g *gate) use(secret string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.secret == "" || !same(secret, g.secret) {
		return false
	}
	g.secret = ""
	return true
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// known reports whether the browser has the cookie.
func (g *gate) known(r *http.Request) bool {
	c, err := r.Cookie(g.cookie)
	return err == nil && same(c.Value, g.kept)
}

// foreign says why a request is not from the console's own pages; empty: it is.
func (g *gate) foreign(r *http.Request) string {
	if origin := r.Header.Get("Origin"); origin != "" && origin != g.origin() {
		return "this is not taken from other sites"
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return ""
	}
	return "this is not taken from other sites"
}

// guard puts the gate before the APIs. The console's files are for whoever asks
// for them under the right name: everybody has them, and a browser that comes
// back from signing in elsewhere brings no cookie.
func (g *gate) guard(apis, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != g.host: // a name that somebody else gives this address
			refuse(w, fmt.Errorf("the console is at %s/ only: %w", g.origin(), dormer.ErrDenied))
		case r.URL.Path == openPath:
			g.open(w, r)
		case r.URL.Path == "/":
			http.Redirect(w, r, console.Path, http.StatusSeeOther)
		case strings.HasPrefix(r.URL.Path, console.Path):
			pages.ServeHTTP(w, r)
		case g.foreign(r) != "":
			refuse(w, fmt.Errorf("%s: %w", g.foreign(r), dormer.ErrDenied))
		case !g.known(r):
			refuse(w, fmt.Errorf("this browser was not let in; end 'dormer console' and start it again, and use the address that it opens: %w", dormer.ErrDenied))
		default:
			apis.ServeHTTP(w, r)
		}
	})
}

// open exchanges the secret for the cookie.
func (g *gate) open(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet:
		http.Error(w, "There is nothing to send here.", http.StatusMethodNotAllowed)
		return
	case g.use(r.URL.Query().Get(openField)):
		http.SetCookie(w, &http.Cookie{Name: g.cookie, Value: g.kept, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	case !g.known(r):
		http.Error(w, "This address was used already, or is not whole. End 'dormer console' and start it again.", http.StatusForbidden)
		return
	}
	http.Redirect(w, r, console.Path, http.StatusSeeOther)
}
