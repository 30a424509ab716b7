package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormer-project/dormer"
)

// TestRequestsWhileTheDirectoryHangs: those who come side by side are refused
// when the first is, not each after a wait of its own; and who comes later
// tries again.
func TestRequestsWhileTheDirectoryHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRecentGroups(time.Now)
		hang := func(context.Context) ([]dormer.Principal, error) {
			<-time.After(10 * time.Second)
			return nil, dormer.ErrUnavailable
		}
		began := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := g.of(t.Context(), "alice", time.Minute, hang); !errors.Is(err, dormer.ErrUnavailable) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it took %s", took)
		}
		answer := func(context.Context) ([]dormer.Principal, error) { return nil, nil }
		if _, err := g.of(t.Context(), "alice", time.Minute, answer); err != nil {
			t.Error(err)
		}
	})
}

// TestDroppedWhileAsked: an answer that was on its way when the user's groups
// were dropped, or all were, is not kept.
func TestDroppedWhileAsked(t *testing.T) {
	for what, drop := range map[string]func(*recentGroups){
		"one": func(g *recentGroups) { g.drop("alice") }, "all": (*recentGroups).clear,
	} {
		g := newRecentGroups(time.Now)
		old, current := []dormer.Principal{{Name: "old"}}, []dormer.Principal{{Name: "new"}}
		_, err := g.of(t.Context(), "alice", time.Hour, func(context.Context) ([]dormer.Principal, error) { drop(g); return old, nil })
		if err != nil {
			t.Fatal(err)
		}
		got, err := g.of(t.Context(), "alice", time.Hour, func(context.Context) ([]dormer.Principal, error) { return current, nil })
		if err != nil || got[0].Name != "new" {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}

// TestRecentIsBounded however many operators there are.
func TestRecentIsBounded(t *testing.T) {
	g := newRecentGroups(time.Now)
	for i := range maxRecent + 100 {
		id := dormer.UserID(fmt.Sprint("user", i))
		if _, err := g.of(t.Context(), id, time.Hour, func(context.Context) ([]dormer.Principal, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(g.byID); n > maxRecent {
		t.Errorf("%d are remembered", n)
	}
}
