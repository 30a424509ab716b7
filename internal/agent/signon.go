package agent

import "context"

// arrangeSignOn signs the user on to the guest.
func arrangeSignOn(context.Context, guest) error { return nil }
