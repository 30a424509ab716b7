package consoletest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"

	"github.com/dormer-project/dormer"
)

// prefix is where the proxy has the server.
const prefix = "/of/dormer"

// newProxy starts a proxy that has the instance below a path, which it takes
// off, and returns its address without a slash at the end.
func (t *set) newProxy() (any, error) {
	target, err := url.Parse(t.instance.Config.PublicURLs[0])
	if err != nil {
		return nil, fmt.Errorf("address of the instance: %w", err)
	}
	authority, err := t.instance.Authority()
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("authority of the instance: %w", dormer.ErrCorrupt)
	}
	front := http.NewServeMux()
	front.Handle(prefix+"/", http.StripPrefix(prefix, &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}},
	}))
	proxy := httptest.NewUnstartedServer(front)
	// Browsers refuse its certificate once, before they take it.
	proxy.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	proxy.StartTLS()
	t.proxies = append(t.proxies, proxy)
	return struct {
		URL string `json:"url"`
	}{proxy.URL + prefix}, nil
}
