package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// session is a user of the instance who is signed in for a user of this
// computer. It is kept in FileUsers.
type session struct {
	UID  uint32           `json:"uid"`
	User dormer.Principal `json:"user"`
	ID   string           `json:"session"`
	// Sealed is the session's secret, sealed to the client's key.
	Sealed  []byte    `json:"sealed"`
	Expires time.Time `json:"expires"`
	// SignedIn is when the user proved at the server who they are.
	SignedIn moment `json:"signed_in"`
	// Proof is what stands in for that while the server is away; nil: nothing
	// yet. It goes with the session.
	Proof *standIn `json:"proof,omitempty"`
}

// users are the sessions of this computer. They are guarded by Agent.mu.
type users struct {
	Sessions []session `json:"sessions"`
}

// of returns the sessions of a local user.
func (u *users) of(uid uint32) []session {
	var out []session
	for _, s := range u.Sessions {
		if s.UID == uid {
			out = append(out, s)
		}
	}
	return out
}

// find returns the session of that user of the instance, whoever holds it.
func (u *users) find(id dormer.UserID) (session, bool) {
	i := slices.IndexFunc(u.Sessions, func(s session) bool { return s.User.ID() == id })
	if i < 0 {
		return session{}, false
	}
	return u.Sessions[i], true
}

// with returns u with s in the place of an older session of the same user.
func (u *users) with(s session) users {
	out := u.without(func(o session) bool { return o.User.ID() == s.User.ID() })
	out.Sessions = append(out.Sessions, s)
	return out
}

// without returns u without some sessions.
func (u *users) without(gone func(session) bool) users {
	return users{Sessions: slices.DeleteFunc(slices.Clone(u.Sessions), gone)}
}

// open returns the sessions as they are sent, at most as many as a poll takes.
func (u *users) open(key seal.ClientKey) ([]wire.Session, error) {
	var out []wire.Session
	for _, s := range u.Sessions[:min(len(u.Sessions), wire.MaxSessions)] {
		secret, err := seal.Unseal(key, wire.SessionInfo(s.ID), s.Sealed)
		if err != nil {
			return nil, fmt.Errorf("session of %s: %w", s.User.Name, err)
		}
		out = append(out, wire.Session{ID: s.ID, Secret: string(secret)})
	}
	return out, nil
}

// byID returns the session of that identity.
func (u *users) byID(id string) (session, bool) {
	i := slices.IndexFunc(u.Sessions, func(s session) bool { return s.ID == id })
	if i < 0 {
		return session{}, false
	}
	return u.Sessions[i], true
}
