package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan/observation"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestObserved: who may read gets what plans can be told, and what is not
// known yet is said.
func TestObserved(t *testing.T) {
	h := newHarness(t)
	enrol(t, h)
	pushImage(t, h, "debian")
	h.must("POST", "/workspaces", h.admin, document, nil)
	var seen observation.Observation
	h.must("GET", "/plan/observed?days=7", h.reader, nil, &seen)
	if seen.Server != "http://dormer.example.com" || seen.Days != 7 || len(seen.Images) != 1 || seen.Images[0].Packed == 0 || len(seen.Workspaces) != 1 {
		t.Errorf("%+v", seen)
	}
	if said := strings.Join(seen.Missing, "\n"); !strings.Contains(said, "no event") && !strings.Contains(said, "No event") && !strings.Contains(said, "10,000") {
		t.Errorf("what is missing: %s", said)
	}
	for _, days := range []string{"367", "-1", "x"} {
		if a := h.ask("GET", rest.Prefix+"/plan/observed?days="+days, h.reader, nil); a.status != http.StatusBadRequest {
			t.Errorf("%s days: %d", days, a.status)
		}
	}
}
