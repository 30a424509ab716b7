package store

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestFollowPlan: who follows events goes to the place by identity and reads on
// from there, without sorting.
func TestFollowPlan(t *testing.T) {
	s, err := OpenEvents(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "events.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plan := explained(t, s.db, s.followQuery(), int64(1), int64(5), int64(100), int64(10))
	if !strings.Contains(plan, "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)") || strings.Contains(plan, "TEMP B-TREE") {
		t.Errorf("following events is a scan:\n%s", plan)
	}
}
