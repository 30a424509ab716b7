package server

import (
	"cmp"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/console"
)

// ownPaths are the first parts of the server's own paths. A public URL does not
// begin with one: what a proxy left on a request could be taken for the other.
var ownPaths = []string{"api", "client", "console", "healthz", "metrics", "readyz", "repository"}

// prefixFault says why the path of a public URL cannot be one; empty: it can.
func prefixFault(u *url.URL) string {
	p := strings.TrimRight(u.Path, "/")
	switch {
	case p == "":
		return ""
	case u.RawPath != "" || path.Clean(p) != p || strings.ContainsFunc(p, func(r rune) bool {
		return !strings.ContainsRune("/-._~", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}):
		return `has a path of other than letters, digits and -._~, or one that is not whole`
	}
	first, _, _ := strings.Cut(p[1:], "/")
	if slices.Contains(ownPaths, first) {
		return `has a path that begins as the server's own do; choose another, as /dormer`
	}
	return ""
}

// belowPrefixes makes the paths of public URLs no difference: proxies may take
// them off a request or leave them.
func belowPrefixes(next http.Handler, publicURLs []string) http.Handler {
	var prefixes []string
	for _, s := range publicURLs {
		if u, err := url.Parse(s); err == nil && strings.TrimRight(u.Path, "/") != "" {
			prefixes = append(prefixes, strings.TrimRight(u.Path, "/"))
		}
	}
	if len(prefixes) == 0 {
		return next
	}
	slices.SortFunc(prefixes, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // the longest counts
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range prefixes {
			switch {
			case r.URL.Path == p:
				redirectBelow(w, path.Base(p)+"/")
				return
			case strings.HasPrefix(r.URL.Path, p+"/"):
				http.StripPrefix(p, next).ServeHTTP(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// redirectBelow sends a browser to what lies beside or below the address that it
// asked for. http.Redirect would write the whole path, which is another before a
// proxy that takes off some of it.
func redirectBelow(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

// toConsole sends whoever opens the server in a browser to the console.
func toConsole(w http.ResponseWriter, _ *http.Request) {
	redirectBelow(w, strings.TrimPrefix(console.Path, "/"))
}
