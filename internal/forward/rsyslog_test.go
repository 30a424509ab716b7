package forward_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/forward"
)

// rsyslog is a real syslog server that writes what it understood to a file.
type rsyslog struct {
	t      *testing.T
	folder string
	port   string
	cmd    *exec.Cmd
	// authorities that its certificate is from.
	authorities *x509.CertPool
}

func startRsyslog(t *testing.T, protocol forward.Protocol) *rsyslog {
	t.Helper()
	if _, err := exec.LookPath("rsyslogd"); err != nil {
		const missing = "rsyslogd is not installed: syslog is not tested (scripts/setup.sh installs it)"
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	s := &rsyslog{t: t, folder: t.TempDir()}
	s.authorities = s.certificates()
	var lc net.ListenConfig
	if protocol == forward.UDP {
		c, err := lc.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, s.port, _ = net.SplitHostPort(c.LocalAddr().String())
		c.Close()
	} else {
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, s.port, _ = net.SplitHostPort(l.Addr().String())
		l.Close()
	}
	input := map[forward.Protocol]string{
		forward.UDP: `module(load="imudp") input(type="imudp" address="127.0.0.1" port="PORT" ruleset="all")`,
		forward.TCP: `module(load="imtcp") input(type="imtcp" address="127.0.0.1" port="PORT" ruleset="all")`,
		forward.TLS: `module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon") input(type="imtcp" address="127.0.0.1" port="PORT" ruleset="all")`,
	}[protocol]
	config := `global(workDirectory="DIR" defaultNetstreamDriverCAFile="DIR/ca.pem" defaultNetstreamDriverCertFile="DIR/cert.pem" defaultNetstreamDriverKeyFile="DIR/key.pem")
template(name="understood" type="string" string="%syslogfacility-text%|%syslogseverity-text%|%timestamp:::date-rfc3339%|%hostname%|%app-name%|%msgid%|%structured-data%|%msg%\n")
ruleset(name="all") { action(type="omfile" file="DIR/out" template="understood") }
` + input + "\n"
	config = strings.NewReplacer("DIR", s.folder, "PORT", s.port).Replace(config)
	if err := os.WriteFile(filepath.Join(s.folder, "conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(protocol)
	t.Cleanup(s.stop)
	return s
}

// certificates makes an authority and a certificate for localhost.
func (s *rsyslog) certificates() *x509.CertPool {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, b := range map[string][]byte{
		"ca.pem": certificate, "cert.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(s.folder, file), b, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return pool
}

func (s *rsyslog) start(protocol forward.Protocol) {
	s.t.Helper()
	s.cmd = exec.Command("rsyslogd", "-n", "-f", filepath.Join(s.folder, "conf"), "-i", filepath.Join(s.folder, "pid"))
	log, err := os.Create(filepath.Join(s.folder, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.wait("rsyslogd to listen", func() bool {
		if protocol == forward.UDP {
			_, err := os.Stat(filepath.Join(s.folder, "pid"))
			return err == nil
		}
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+s.port, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (s *rsyslog) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
}

// wait waits until something is so, with a deadline.
func (s *rsyslog) wait(what string, so func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline.C:
			log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
			s.t.Fatalf("waited in vain for %s\n%s", what, log)
		}
	}
}

// lines returns what it understood once there are so many.
func (s *rsyslog) lines(n int) []string {
	s.t.Helper()
	var lines []string
	s.wait(fmt.Sprint(n, " messages"), func() bool {
		b, _ := os.ReadFile(filepath.Join(s.folder, "out"))
		lines = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		return len(b) > 0 && len(lines) >= n
	})
	return lines
}

func (s *rsyslog) receiver(protocol forward.Protocol, authorities *x509.CertPool) *forward.Syslog {
	s.t.Helper()
	r, err := forward.NewSyslog(forward.SyslogConfig{
		Protocol: protocol, Address: "localhost:" + s.port, Facility: "local3", Enterprise: 32473, Authorities: authorities, Hostname: "server", Version: "1",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := r.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return r
}

func happened(n int) event.Row {
	return event.Row{ID: int64(n), Client: "c", Event: dormer.Event{
		Code: 503, Severity: dormer.Error, Category: "workspace", Description: fmt.Sprintf("Größe %d", n), Host: "PC-1", User: `CORP\anna ]"`,
		Time: time.Date(2026, 3, 29, 1, 2, 3, 456789000, time.UTC), Count: 3,
	}}
}

// TestRsyslog sends to a real server: what it understands of a message must be
// what was meant, over each protocol.
func TestRsyslog(t *testing.T) {
	for _, protocol := range []forward.Protocol{forward.UDP, forward.TCP, forward.TLS} {
		t.Run(string(protocol), func(t *testing.T) {
			s := startRsyslog(t, protocol)
			r := s.receiver(protocol, s.authorities)
			var rows []event.Row
			const n = 500
			for i := range n {
				rows = append(rows, happened(i+1))
				if protocol == forward.UDP && i == 19 {
					break // nobody says what is lost
				}
			}
			if err := r.Send(t.Context(), "i", rows); err != nil {
				t.Fatal(err)
			}
			lines := s.lines(len(rows))
			for i, line := range lines {
				const form = `local3|err|2026-03-29T01:02:03.456789Z|PC-1|dormer|E503|[dormer@32473 id="%d" instance="i" client="c" code="503"` +
					` category="workspace" user="CORP\\anna \]\"" count="3"][origin software="dormerd" swVersion="1"]|%s`
				want := fmt.Sprintf(form, i+1, rows[i].Description)
				if got := strings.Replace(line, "\uFEFF", "", 1); got != want {
					t.Fatalf("message %d was understood as\n%s\nexpected\n%s", i+1, got, want)
				}
			}
		})
	}
}

// TestRsyslogRestarts kills the server again and again: who sends again what was
// not confirmed loses nothing.
func TestRsyslogRestarts(t *testing.T) {
	s := startRsyslog(t, forward.TCP)
	r := s.receiver(forward.TCP, nil)
	const rounds, each = 5, 50
	for round := range rounds {
		var rows []event.Row
		for i := range each {
			rows = append(rows, happened(round*each+i+1))
		}
		sent := func() bool { return r.Send(t.Context(), "i", rows) == nil }
		s.wait("messages to be sent", sent)
		s.lines((round + 1) * each)
		s.stop()
		if sent() {
			t.Fatalf("round %d: sent to nobody", round)
		}
		s.start(forward.TCP)
	}
	seen := map[string]bool{}
	for _, line := range s.lines(rounds * each) {
		seen[line] = true
	}
	if len(seen) != rounds*each {
		t.Errorf("%d different messages arrived of %d", len(seen), rounds*each)
	}
}

// TestSyslogRefuses sends nothing to a server that cannot show who it is, nor to
// one that is not there, and gives up when it is told to.
func TestSyslogRefuses(t *testing.T) {
	s := startRsyslog(t, forward.TLS)
	err := s.receiver(forward.TLS, x509.NewCertPool()).Send(t.Context(), "i", []event.Row{happened(1)})
	if err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a foreign certificate: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.folder, "out")); err == nil {
		t.Error("something arrived")
	}
	s.stop()
	if err := s.receiver(forward.TLS, s.authorities).Send(t.Context(), "i", []event.Row{happened(1)}); err == nil {
		t.Error("sent to nobody")
	}

	// One that takes the connection and reads nothing.
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	r := s.receiver(forward.TCP, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var many []event.Row
	for i := range 20_000 {
		many = append(many, happened(i))
	}
	began := time.Now()
	if err := r.Send(ctx, "i", many); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("to who reads nothing: %v after %s", err, time.Since(began))
	}
}
