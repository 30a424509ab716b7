package clientapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/throttle"
	"github.com/dormer-project/dormer/internal/wire"
)

// refused reports whether an error is about who asks, and so counts as a
// failed attempt.
func refused(err error) bool {
	return errors.Is(err, dormer.ErrUnauthenticated) || errors.Is(err, dormer.ErrDenied)
}

// enrol makes a client of who has a join token.
func (a *API) enrol(w http.ResponseWriter, r *http.Request) error {
	var q wire.EnrolRequest
	if err := a.readStranger(w, r, &q); err != nil {
		return err
	}
	if err := checkProtocol(q.Protocol); err != nil {
		return err
	}
	var c enroll.Client
	err := attempt(a.joins, throttle.Network(a.cfg.Address(r)), func() error {
		var err error
		c, err = a.cfg.Enrollment.Enrol(r.Context(), q)
		return err
	}, refused)
	if refused(err) {
		a.record(r, audit.Record{Who: "unknown client", Action: "client.refuse", Object: q.Host.Name, Detail: err.Error()})
		// Nobody is to sign in here: what is wrong is the join token.
		return denied(err)
	}
	if err != nil {
		return err
	}
	a.record(r, audit.Record{
		Who: c.Host.Name, Principal: string(c.ID), Action: "client.enrol", Object: c.Host.Name + " (" + string(c.ID) + ")",
		Detail: fmt.Sprintf("managed: %t, join token %s", c.Managed, c.JoinToken),
	})
	return answer(w, wire.EnrolAnswer{Client: c.ID, Instance: a.cfg.Instance, RootKey: a.cfg.RootKey, KeySet: a.cfg.KeySet().Signed})
}

// denied turns "not known" into "refused": 401 is kept for tokens of clients,
// at which an agent gets another and asks again.
func denied(err error) error {
	if !errors.Is(err, dormer.ErrUnauthenticated) {
		return err
	}
	return &deniedError{text: err.Error()}
}

type deniedError struct{ text string }

func (e *deniedError) Error() string        { return e.text }
func (e *deniedError) Is(target error) bool { return target == dormer.ErrDenied }

func (a *API) challenge(w http.ResponseWriter, r *http.Request) error {
	var q wire.ChallengeRequest
	if err := a.readStranger(w, r, &q); err != nil {
		return err
	}
	if err := checkProtocol(q.Protocol); err != nil {
		return err
	}
	challenge, err := a.cfg.Enrollment.Challenge(q.Client)
	if err != nil {
		return err
	}
	return answer(w, wire.ChallengeAnswer{Challenge: challenge})
}

func (a *API) token(w http.ResponseWriter, r *http.Request) error {
	var q wire.TokenRequest
	if err := a.readStranger(w, r, &q); err != nil {
		return err
	}
	if err := checkProtocol(q.Protocol); err != nil {
		return err
	}
	var out wire.TokenAnswer
	err := attempt(a.proofs, throttle.Network(a.cfg.Address(r)), func() error {
		var err error
		out.Token, out.Expires, err = a.cfg.Enrollment.Token(r.Context(), q)
		return err
	}, refused)
	if err != nil {
		return err
	}
	return answer(w, out)
}
