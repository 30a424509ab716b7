package access_test

import (
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/access"
)

// TestRefusals: who is refused is told what to do, where something can be done.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		refused access.RefusedError
		want    string
	}{
		{access.RefusedError{Reason: access.ReasonDisabled}, "the account is disabled"},
		{
			access.RefusedError{Reason: access.ReasonPasswordExpired, Elsewhere: "corp"},
			"the password has expired; change it in directory corp (not here), and sign in again",
		},
		{
			access.RefusedError{Reason: access.ReasonGuarded, Wait: 19 * time.Minute},
			"there were too many wrong passwords: wait 19 minutes, or sign in to the domain on another computer first",
		},
		{
			access.RefusedError{Reason: access.ReasonGuarded, Wait: time.Second},
			"there were too many wrong passwords: wait 1 minute, or sign in to the domain on another computer first",
		},
		{
			access.RefusedError{Reason: access.ReasonGuarded, Wait: 23*time.Hour + time.Minute},
			"there were too many wrong passwords: wait 24 hours, or sign in to the domain on another computer first",
		},
		{
			access.RefusedError{Reason: access.ReasonGuarded},
			"there were too many wrong passwords: sign in to the domain on another computer first",
		},
	} {
		if got := c.refused.Error(); got != c.want {
			t.Errorf("%+v says %q, want %q", c.refused, got, c.want)
		}
	}
}
