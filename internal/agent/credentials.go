package agent

import (
	"sync"

	"github.com/dormer-project/dormer"
)

// words are the passwords that users have signed in or unlocked with, as long as
// a policy of theirs needs them. They are in memory alone.
type words struct {
	mu sync.Mutex // guards the fields below
	of map[dormer.UserID]string
}

// password returns the password of a user of the instance, if it is known here
// and a policy of theirs needs it.
func (a *Agent) password(u dormer.UserID) (string, bool) {
	a.words.mu.Lock()
	defer a.words.mu.Unlock()
	w, ok := a.words.of[u]
	return w, ok
}
