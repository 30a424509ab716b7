package forward

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

var start = time.Date(2026, 3, 29, 1, 59, 59, 123456000, time.UTC)

func newSyslog(t testing.TB, cfg SyslogConfig) *Syslog {
	t.Helper()
	if cfg.Facility == "" {
		cfg.Facility = "local0"
	}
	cfg.Enterprise, cfg.Hostname, cfg.Version = 32473, "server.example.com", "1.2"
	s, err := NewSyslog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func failure(id int64) event.Row {
	return event.Row{ID: id, Client: "c1", Event: dormer.Event{
		Code: 503, Severity: dormer.Error, Category: "workspace", Description: "The workspace failed", Host: "PC-1", User: `CORP\anna`,
		Workspace: "w1", WorkspaceName: "Office", Image: "office/3", Time: start, Received: start.Add(time.Second), ClientVersion: "1.1", PolicyRevision: 4,
	}}
}

func TestMessage(t *testing.T) {
	s := newSyslog(t, SyslogConfig{})
	const rest = ` [dormer@32473 id="7" instance="i" client="c1" code="503" category="workspace" user="CORP\\anna" workspace="w1" workspaceName="Office"` +
		` image="office/3" policyRevision="4" clientVersion="1.1" received="2026-03-29T02:00:00.123456Z"][origin software="dormerd" swVersion="1.2"] `
	for _, test := range []struct {
		name   string
		change func(*event.Row)
		want   string
	}{
		{"plain", nil, `<131>1 2026-03-29T01:59:59.123456Z PC-1 dormer - E503` + rest + "The workspace failed"},
		{"warning", func(r *event.Row) { r.Severity = dormer.Warning }, `<132>1 2026-03-29T01:59:59.123456Z PC-1 dormer - E503` + rest + "The workspace failed"},
		{"UTF-8", func(r *event.Row) { r.Description, r.Host = "Größe", "PC Büro" }, `<131>1 2026-03-29T01:59:59.123456Z PC_B_ro dormer - E503` + rest + "\uFEFFGröße"},
		{"another line", func(r *event.Row) { r.Description = "a\n<131>1 forged\x00\u0085\u2028b" }, `<131>1 2026-03-29T01:59:59.123456Z PC-1 dormer - E503` + rest + "a <131>1 forged   b"},
		{
			"nothing", func(r *event.Row) {
				*r = event.Row{Event: dormer.Event{Code: 800, Severity: dormer.Information, Time: start}}
			},
			`<134>1 2026-03-29T01:59:59.123456Z server.example.com dormerd - E800 [dormer@32473 instance="i" code="800"][origin software="dormerd" swVersion="1.2"] `,
		},
	} {
		r := failure(7)
		if test.change != nil {
			test.change(&r)
		}
		if got := string(s.message("i", r)); got != test.want {
			t.Errorf("%s:\n%s\nexpected\n%s", test.name, got, test.want)
		}
	}
	r := failure(7)
	r.User = `a"] [x y="z" \ b`
	if got := string(s.message("i", r)); !strings.Contains(got, ` user="a\"\] [x y=\"z\" \\ b" workspace=`) {
		t.Errorf("a value is not escaped: %s", got)
	}
}

func TestCutMessage(t *testing.T) {
	s := newSyslog(t, SyslogConfig{})
	r := failure(7)
	r.Description = strings.Repeat("ü", 3000)
	for most := maxDatagram; most > maxDatagram-8; most-- {
		m := cutMessage(s.message("i", r), most)
		if len(m) > most || len(m) < most-2 || !utf8.Valid(m) {
			t.Errorf("cut to %d: %d bytes, valid is %t", most, len(m), utf8.Valid(m))
		}
	}
	r.User = strings.Repeat(`"`, 3000)
	m := string(cutMessage(s.message("i", r), maxDatagram))
	if want := "<131>1 2026-03-29T01:59:59.123456Z PC-1 dormer - E503 - \uFEFFüü"; !strings.HasPrefix(m, want) || len(m) > maxDatagram {
		t.Errorf("without its structured data: %.120s", m)
	}
}

// FuzzMessage holds that no text of a client leaves its place in a message.
func FuzzMessage(f *testing.F) {
	f.Add("host", "user", "text", int64(1))
	f.Add("h\n", `"] [`, "\xff\u2028", int64(-5))
	s := newSyslog(f, SyslogConfig{})
	f.Fuzz(func(t *testing.T, host, user, text string, at int64) {
		r := failure(1)
		r.Host, r.User, r.Description, r.Guest, r.Time = host, user, text, user, time.UnixMicro(at%(1<<55)).UTC()
		m := s.message("i", r)
		for _, m := range [][]byte{m, cutMessage(m, maxDatagram)} {
			if !utf8.Valid(m) || bytes.ContainsFunc(m, func(c rune) bool { return c < ' ' || c == 0x7f }) {
				t.Fatalf("not a line of UTF-8: %q", m)
			}
			if fields := bytes.SplitN(m, []byte(" "), 7); len(fields) != 7 || string(fields[3]) != "dormer" || string(fields[5]) != "E503" || (fields[6][0] != '[' && fields[6][0] != '-') {
				t.Fatalf("not a message: %q", m)
			}
		}
	})
}
