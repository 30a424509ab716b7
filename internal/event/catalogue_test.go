package event_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

var update = flag.Bool("update", false, "write docs/events.md anew")

func TestDocs(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "events.md")
	if *update {
		if err := os.WriteFile(file, []byte(event.Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), event.Markdown()); diff != "" {
		t.Errorf("docs/events.md is not up to date; `go test ./internal/event -update` writes it:\n%s", diff)
	}
}

func TestCatalogue(t *testing.T) {
	var last event.Code
	texts := make(map[string]bool)
	for _, k := range event.Catalogue() {
		if k.Code <= last {
			t.Errorf("code %d comes after %d", k.Code, last)
		}
		last = k.Code
		if k.Text == "" || k.Meaning == "" || k.Category == "" || texts[k.Text] || strings.Contains(k.Text+k.Meaning+k.Action, "|") {
			t.Errorf("code %d is not described, or like another: %+v", k.Code, k)
		}
		texts[k.Text] = true
		if k.Severity == dormer.Error && k.Action == "" {
			t.Errorf("code %d is an error and does not say what to do", k.Code)
		}
		if found, ok := event.KindOf(k.Code); !ok || found != k {
			t.Errorf("code %d is not found", k.Code)
		}
	}
	if _, ok := event.KindOf(1); ok {
		t.Error("code 1 is known")
	}
}

func TestNew(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.FixedZone("x", 3600))
	got := event.New(event.WorkspaceFailed, at, "no room\x00")
	want := dormer.Event{
		Code: 503, Severity: dormer.Error, Category: "workspace", Description: "The workspace failed: no room?",
		Time: time.Date(2026, 1, 2, 2, 4, 5, 6000, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := event.New(event.AgentStarted, at, ""); got.Description != "The agent started" {
		t.Errorf("description is %q", got.Description)
	}
	if got := event.New(9999, at, "x"); got.Severity != dormer.Error || got.Code != 9999 {
		t.Errorf("unknown code gives %+v", got)
	}
}
