package faulttest

import (
	"testing"
	"time"
)

// clients is how many send at once.
const clients = 60

// kills is how often what is tested is killed.
func kills() int {
	if everything() {
		return 50
	}
	return 5
}

// TestKilledServer kills dormerd under load, again and again.
func TestKilledServer(t *testing.T) {
	for _, engine := range []string{sqlite, postgres} {
		t.Run(engine, func(t *testing.T) {
			h := newHouse(t, engine, "", clients)
			h.crowd.start(t.Context())
			defer h.crowd.stop()
			for range kills() {
				h.during(400 * time.Millisecond)
				h.server.Kill()
				h.startServer()
			}
			h.settle()
			h.check()
		})
	}
}

// TestKilledDatabase kills PostgreSQL under load, by SIGKILL and as "immediate"
// by turns, while dormerd stays: it says that it is not ready, and comes back by
// itself.
func TestKilledDatabase(t *testing.T) {
	h := newHouse(t, postgres, "", clients)
	h.crowd.start(t.Context())
	defer h.crowd.stop()
	for n := range kills() {
		h.during(400 * time.Millisecond)
		if n%2 == 0 {
			if err := h.database.Kill(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			h.database.StopNow()
		}
		if n%10 == 0 {
			h.awaitUnready()
		}
		h.startDatabase()
		h.awaitReady()
		h.awaitMore(1)
	}
	h.settle()
	h.check()
}

// TestKilledTogether is a power cut: server and database are gone at once.
func TestKilledTogether(t *testing.T) {
	h := newHouse(t, postgres, "", clients)
	h.crowd.start(t.Context())
	defer h.crowd.stop()
	for range kills() / 5 {
		h.during(600 * time.Millisecond)
		h.server.Kill()
		if err := h.database.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.startDatabase()
		h.startServer()
	}
	h.settle()
	h.check()
}
