package server

import (
	"net"
)

// MetricsConfig is the section [metrics].
type MetricsConfig struct {
	Listen string `toml:"listen" doc:"Address and port, as \"127.0.0.1:9464\", at which /metrics is read without signing in and by plain HTTP: for a Prometheus on this computer or a network of its own. Empty: /metrics is on the addresses of listen alone, for API tokens of the area reports."`
}

// checkMetrics names what is wrong with the section.
func (c *Config) checkMetrics(add complain) {
	if c.Metrics.Listen == "" {
		return
	}
	if host, port, err := net.SplitHostPort(c.Metrics.Listen); err != nil || host == "" || port == "" {
		add("metrics.listen", `must be an address and a port, as "127.0.0.1:9464"`)
	}
}
