package server

import "strings"

// AuditConfig is the section [audit].
type AuditConfig struct {
	RetentionDays int `toml:"retention_days" doc:"Records of the audit log that are older than so many days are removed; 0 keeps them for good."`
}

// checkReports checks the settings of reports and of the audit log.
func (c *Config) checkReports(add complain) {
	if d := c.Events.ReportsDSN; d != "" && !strings.HasPrefix(d, "postgres://") && !strings.HasPrefix(d, "postgresql://") {
		add("events.reports_dsn", "must begin with postgres://: a database in a file has the events of one instance")
	}
	if c.Audit.RetentionDays < 0 {
		add("audit.retention_days", "must not be negative")
	}
}
