package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dormer-project/dormer"
)

// TestPlansAtOnce: a plan does not take the processors that another has.
func TestPlansAtOnce(t *testing.T) {
	a := &API{plans: make(chan struct{}, maxPlans)}
	c := &call{api: a, r: httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/plan", nil)}
	work := func(context.Context) error { return nil }
	for range 2 { // the place is free again when a plan is done, whatever came of it
		failed := errors.New("failed")
		err := a.atMost(c, func(context.Context) error {
			if err := a.atMost(c, work); !errors.Is(err, dormer.ErrUnavailable) {
				t.Errorf("a second plan at once: %v, want dormer.ErrUnavailable", err)
			}
			return failed
		})
		if !errors.Is(err, failed) {
			t.Errorf("%v, want the error of the work", err)
		}
	}
	if err := a.atMost(c, work); err != nil {
		t.Error(err)
	}
}
