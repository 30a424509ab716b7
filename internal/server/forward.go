package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/forward"
)

// forwardTestTime is how long a receiver may take for the message of a test.
const forwardTestTime = 30 * time.Second

// makeForwarding makes what forwards events.
func (s *Server) makeForwarding(context.Context) error {
	targets, err := forwardTargets(s.cfg.Forward, s.deps.Hostname, s.deps.Version, s.deps.Now)
	if err != nil {
		return err
	}
	cfg := forward.Config{
		Instance: s.instance, Events: s.events, Targets: targets, Kept: time.Duration(s.cfg.Events.RetentionDays) * 24 * time.Hour,
		Tell: s.tell, Now: s.deps.Now, Random: s.deps.Random, Logger: s.deps.Logger,
	}
	if cfg.Turns, cfg.Holder, err = s.turns(); err != nil {
		return err
	}
	s.forwarding = forward.New(cfg)
	return nil
}

// forwardTargets makes the receivers of a configuration. Errors name the setting.
func forwardTargets(cfg ForwardConfig, hostname, version string, now func() time.Time) ([]forward.Target, error) {
	var targets []forward.Target
	for i, w := range cfg.Webhooks {
		path := fmt.Sprintf("forward.webhooks[%d]", i)
		secret := func() ([]byte, error) {
			text, err := readSecret(path+".secret_file", w.SecretFile)
			if err != nil {
				return nil, err
			}
			b, err := forward.ParseSecret(text)
			if err != nil {
				return nil, fmt.Errorf("setting %s.secret_file: %w", path, err)
			}
			return b, nil
		}
		if _, err := secret(); err != nil {
			return nil, err
		}
		authorities, err := readPool(path+".authority", w.Authority)
		if err != nil {
			return nil, err
		}
		r, err := forward.NewWebhook(forward.WebhookConfig{URL: w.URL, Secret: secret, Authorities: authorities, Version: version, Now: now})
		if err != nil {
			return nil, fmt.Errorf("setting %s: %w", path, err)
		}
		targets = append(targets, forward.Target{Name: w.Name, Filter: forwardFilter(w.Severities, w.Codes), Receiver: r})
	}
	for i, c := range cfg.Syslog {
		path := fmt.Sprintf("forward.syslog[%d]", i)
		c = c.withDefaults()
		authorities, err := readPool(path+".authority", c.Authority)
		if err != nil {
			return nil, err
		}
		r, err := forward.NewSyslog(forward.SyslogConfig{
			Protocol: forward.Protocol(c.Protocol), Address: c.Address, Facility: c.Facility, Enterprise: c.Enterprise,
			Authorities: authorities, Hostname: hostname, Version: version,
		})
		if err != nil {
			return nil, fmt.Errorf("setting %s: %w", path, err)
		}
		targets = append(targets, forward.Target{Name: c.Name, Filter: forwardFilter(c.Severities, c.Codes), Receiver: r})
	}
	return targets, nil
}

func forwardFilter(severities []string, codes []int) forward.Filter {
	f := forward.Filter{Codes: codes}
	for _, s := range severities {
		f.Severities = append(f.Severities, dormer.Severity(s))
	}
	return f
}

// readPool reads certificates of authorities; an empty path is nil, for those
// that the computer trusts.
func readPool(setting, path string) (*x509.CertPool, error) {
	pem, err := readAuthority(setting, path)
	if err != nil || pem == nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool, nil
}

// forward is the command of that name.
func (p *program) forward() *cobra.Command {
	c := &cobra.Command{Use: "forward", Short: "Forwarding of events and alerts"}
	c.AddCommand(&cobra.Command{
		Use: "test", Short: "Send one test message to each receiver", Args: cobra.NoArgs,
		Long: "test sends one event, of code 843, to every receiver of the section [forward], and says which have\n" +
			"taken it. It uses nothing but the configuration, and can be run beside the server. Over UDP nobody\n" +
			"says whether it has arrived: look there.",
		Example: "  dormerd forward test --config /etc/dormer/dormerd.toml",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			return p.testForwarding(c.Context(), cfg)
		},
	})
	return c
}

func (p *program) testForwarding(ctx context.Context, cfg Config) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("ask for this computer's name: %w", err)
	}
	targets, err := forwardTargets(cfg.Forward, host, p.version, time.Now)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		_, err := fmt.Fprintln(p.out, "The configuration names no receiver: see the section [forward].")
		return err
	}
	e := event.New(event.ForwardTest, time.Now(), "from "+host)
	e.Host, e.User, e.ClientVersion, e.Received = host, systemUser, p.version, e.Time
	var failed []error
	for _, t := range targets {
		if err := sendTest(ctx, t, event.Row{Event: e}); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", t.Name, err))
			continue
		}
		fmt.Fprintf(p.out, "%s: sent\n", t.Name)
	}
	return errors.Join(failed...)
}

func sendTest(ctx context.Context, t forward.Target, r event.Row) error {
	ctx, cancel := context.WithTimeout(ctx, forwardTestTime)
	defer cancel()
	return errors.Join(t.Receiver.Send(ctx, "", []event.Row{r}), t.Receiver.Close())
}
