package organization

import (
	"time"

	"github.com/dormer-project/dormer/internal/document"
)

// Offline is how long a workspace may be used without the server: none,
// unrestricted, or a time. The zero value is not set.
type Offline struct {
	set          bool
	unrestricted bool
	limit        time.Duration
}

// The two that are no time.
var (
	OfflineNone         = Offline{set: true}
	OfflineUnrestricted = Offline{set: true, unrestricted: true}
)

// OfflineFor allows a time.
func OfflineFor(d time.Duration) Offline { return Offline{set: true, limit: d} }

// Limit is how long a workspace may be used without the server; zero is not at
// all. Without a limit the second value is false.
func (o Offline) Limit() (time.Duration, bool) { return o.limit, !o.unrestricted }

// String is the form in which it is written.
func (o Offline) String() string {
	switch {
	case !o.set:
		return ""
	case o.unrestricted:
		return "unrestricted"
	case o.limit == 0:
		return "none"
	default:
		return document.Duration(o.limit).String()
	}
}

// MarshalText writes the form.
func (o Offline) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads none, unrestricted or a time.
func (o *Offline) UnmarshalText(b []byte) error {
	switch string(b) {
	case "none":
		*o = OfflineNone
	case "unrestricted":
		*o = OfflineUnrestricted
	default:
		d, err := document.ParseDuration(string(b))
		if err != nil {
			return err
		}
		*o = OfflineFor(d.Duration())
	}
	return nil
}

// Form says how it is written.
func (Offline) Form() string { return "none, unrestricted, or a length of time such as 8h or 3d" }

// Pattern is what every such text matches.
func (Offline) Pattern() string { return `^(none|unrestricted|([0-9]{1,9}[dhms])+)$` }
