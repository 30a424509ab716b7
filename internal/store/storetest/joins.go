package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/domainjoin"
	"github.com/dormer-project/dormer/internal/vault"
)

func testSecrets(t *testing.T, s State) {
	ctx := t.Context()
	b, a := vault.Secret{Name: "b", Set: at(0), By: "admin"}, vault.Secret{Name: "a", Set: at(time.Hour), By: "other"}
	ok(t, s.PutSecret(ctx, b, []byte{0, 1, 255}, 2))
	ok(t, s.PutSecret(ctx, a, nil, 2))
	equal(t, must[[]vault.Secret](t)(s.Secrets(ctx)), []vault.Secret{a, b})
	is(t, s.PutSecret(ctx, vault.Secret{Name: "c"}, nil, 2), dormer.ErrTooLarge)
	b.By, b.Set = "third", at(time.Minute)
	ok(t, s.PutSecret(ctx, b, []byte{7}, 2))
	equal(t, must[[]vault.Secret](t)(s.Secrets(ctx)), []vault.Secret{a, b})
	equal(t, must[[]byte](t)(s.SealedSecret(ctx, "b")), []byte{7})
	_, err := s.SealedSecret(ctx, "c")
	is(t, err, dormer.ErrNotFound)
	ok(t, s.DeleteSecret(ctx, "a"))
	is(t, s.DeleteSecret(ctx, "a"), dormer.ErrNotFound)
}

func testJoins(t *testing.T, s State) {
	ctx := t.Context()
	p := domainjoin.Pending{
		Machine: "m1", Directory: "corp", Computer: "PC-1", Account: "svc", Secret: "x", Made: true, KeyVersion: 3, Expires: at(time.Hour), Due: at(time.Hour),
	}
	due := func(d time.Duration) []domainjoin.Pending {
		t.Helper()
		return must[[]domainjoin.Pending](t)(s.DueJoins(ctx, at(d)))
	}
	ok(t, s.PutJoin(ctx, p))
	equal(t, due(59*time.Minute), nil)
	equal(t, due(time.Hour), []domainjoin.Pending{p})

	// One of those that come at once looks after it.
	errTaken := errors.New("taken by another")
	done, _ := count(t, together(6, func(int) error {
		mine, err := s.TakeJoin(ctx, p, at(2*time.Hour))
		if err == nil && !mine {
			err = errTaken
		}
		return err
	}), errTaken)
	if done != 1 {
		t.Errorf("%d took it, want 1", done)
	}
	equal(t, due(time.Hour), nil)
	taken := p
	taken.Due = at(2 * time.Hour)
	equal(t, due(2*time.Hour), []domainjoin.Pending{taken})

	// Another was prepared meanwhile: what is known of the first changes nothing.
	next := domainjoin.Pending{Machine: "m1", Directory: "corp", Computer: "PC-1", KeyVersion: 5, Expires: at(3 * time.Hour), Due: at(3 * time.Hour)}
	ok(t, s.PutJoin(ctx, next))
	if mine, err := s.TakeJoin(ctx, taken, at(9*time.Hour)); err != nil || mine {
		t.Errorf("the one before is taken: %t, %v", mine, err)
	}
	ok(t, s.DeleteJoin(ctx, taken))
	equal(t, due(4*time.Hour), []domainjoin.Pending{next})
	ok(t, s.DeleteJoin(ctx, next))
	equal(t, due(4*time.Hour), nil)
}
