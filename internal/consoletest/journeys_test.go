package consoletest

import (
	"log/slog"
	"testing"

	"github.com/dormer-project/dormer/internal/consoletest/playwright"
)

// TestJourneys runs all journeys of web/tests.
func TestJourneys(t *testing.T) {
	playwright.Need(t)
	s, err := New(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	playwright.Run(t, s.Environment()...)
}
