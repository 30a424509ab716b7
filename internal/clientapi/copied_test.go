package clientapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store/storetest"
)

// from makes polls come from an address and a host.
func (c *client) from(address, host string) {
	c.s.t.Helper()
	q := c.request()
	q.Host.Name = host
	before := c.s.http
	c.s.http = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = address
		before.ServeHTTP(w, r)
	})
	defer func() { c.s.http = before }()
	if _, err := c.send(q); err != nil {
		c.s.t.Fatal(err)
	}
}

// copied returns the events and the audit records that tell of copies.
func (s *server) copied() (events []event.Row, records []string) {
	s.t.Helper()
	for _, e := range storetest.Rows(s.t, s.events, s.instance) {
		if e.Event.Code == int(event.IdentityCopied) {
			events = append(events, e)
		}
	}
	for _, r := range must(s.state.Records(s.t.Context(), 0, 100))(s.t) {
		if r.Action == "client.copied" {
			records = append(records, r.Detail)
		}
	}
	return events, records
}

func TestCopiedIdentity(t *testing.T) {
	s := newServer(t)
	original := s.client(true)
	thief := *original
	thief.run = "another start"
	const here, there = "192.0.2.7:1234", "[2001:db8::9]:999"
	original.from(here, "pc-1")
	s.clock.Add(20 * time.Second)
	thief.from(there, "pc-2")
	s.clock.Add(40 * time.Second)
	original.from(here, "pc-1")
	if events, records := s.copied(); len(events)+len(records) > 0 {
		t.Fatalf("a request that may have been under way is told as a copy: %v", records)
	}
	s.clock.Add(2 * time.Minute)
	original.from(here, "pc-1")
	events, records := s.copied()
	if len(events) != 1 || len(records) != 1 {
		t.Fatalf("%d events and %d records, expected one of each", len(events), len(records))
	}
	for _, want := range []string{"pc-1", "192.0.2.7", "pc-2", "2001:db8::9"} {
		if !strings.Contains(events[0].Event.Description, want) || !strings.Contains(records[0], want) {
			t.Errorf("%q is not in %q or in %q", want, events[0].Event.Description, records[0])
		}
	}
	if e := events[0]; e.Client != original.id || e.Event.Severity != dormer.Error || e.Event.Host != "pc-1" {
		t.Errorf("event is %+v", e)
	}
	stored := must(s.state.Client(t.Context(), original.id))(t)
	if stored.Copied == nil || !stored.Copied.Equal(s.clock.Now()) || stored.CopiedDetail != records[0] {
		t.Errorf("the client is kept as %+v", stored)
	}
	shown := must(s.enroll.Client(t.Context(), original.id))(t)
	if len(shown.Runs) != 2 || shown.Runs[0].Address != "192.0.2.7" || shown.Runs[1].Host != "pc-2" {
		t.Errorf("runs are %+v", shown.Runs)
	}
	for range 20 { // once an hour
		s.clock.Add(time.Minute)
		thief.from(there, "pc-2")
		original.from(here, "pc-1")
	}
	if events, _ := s.copied(); len(events) != 1 {
		t.Errorf("%d events within the hour", len(events))
	}
	s.clock.Add(time.Hour)
	thief.from(there, "pc-2")
	original.from(here, "pc-1")
	if events, _ := s.copied(); len(events) != 2 {
		t.Errorf("%d events after the hour, expected two", len(events))
	}

	// The remedy: revoke, and enrol each anew.
	if err := s.enroll.Revoke(t.Context(), original.id); err != nil {
		t.Fatal(err)
	}
	if _, err := thief.send(thief.request()); err == nil {
		t.Error("the copy still polls")
	}
	again := s.client(true)
	s.clock.Add(time.Minute)
	again.poll()
	if c := must(s.enroll.Client(t.Context(), again.id))(t); c.Copied != nil {
		t.Errorf("the new identity is %+v", c)
	}
}

func TestRestartsAreNoCopies(t *testing.T) {
	s := newServer(t)
	c := s.client(true)
	for _, run := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		c.run = run
		for range 10 {
			s.clock.Add(time.Minute)
			c.poll()
		}
		if run == "d" { // the server is restarted, and learns again
			s.start()
		}
	}
	c.run = "" // an agent of an earlier release
	c.poll()
	if events, records := s.copied(); len(events)+len(records) > 0 {
		t.Errorf("an agent that is restarted is told as copied: %v", records)
	}
}

func TestRunIsBounded(t *testing.T) {
	s := newServer(t)
	c := s.client(true)
	c.run = strings.Repeat("r", 65)
	_, err := c.send(c.request())
	wantKind(t, err, dormer.ErrInvalid)
}
