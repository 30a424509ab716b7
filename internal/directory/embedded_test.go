package directory_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory"
	"github.com/dormer-project/dormer/internal/directory/directorytest"
	"github.com/dormer-project/dormer/internal/store/fresh"
)

func TestEmbedded(t *testing.T) {
	directorytest.Run(t, func(t *testing.T) directorytest.Fixture {
		state := fresh.State(t)
		t.Cleanup(func() {
			if err := state.Close(); err != nil {
				t.Error(err)
			}
		})
		hasher, err := access.NewHasher(rand.Reader, access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1}, 2)
		if err != nil {
			t.Fatal(err)
		}
		accounts := access.NewAccounts(state, state, hasher, time.Now, rand.Reader)
		past := time.Now().Add(-time.Hour)
		ids := map[string]string{}
		for name, expires := range map[string]*time.Time{
			directorytest.Alice: nil, directorytest.Bob: nil, directorytest.Disabled: nil, directorytest.Expired: &past,
		} {
			n := access.NewAccount{Name: name, Password: directorytest.Password, Expires: expires}
			if name == directorytest.Alice || name == directorytest.Bob {
				n.DisplayName = directorytest.TwinsName
			}
			a, _, err := accounts.Create(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			ids[name] = a.ID
		}
		if _, err := accounts.Update(t.Context(), ids[directorytest.Disabled], access.AccountChange{Disabled: new(true)}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{directorytest.Inner, directorytest.Outer, directorytest.Outermost} {
			g, err := accounts.CreateGroup(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			ids[name] = g.ID
		}
		for _, m := range []struct {
			group, member string
			kind          dormer.PrincipalKind
		}{
			{directorytest.Inner, directorytest.Alice, dormer.KindUser},
			{directorytest.Outer, directorytest.Inner, dormer.KindGroup},
			{directorytest.Outermost, directorytest.Outer, dormer.KindGroup},
		} {
			if err := accounts.SetMember(t.Context(), ids[m.group], access.Member{Kind: m.kind, ID: ids[m.member]}, true); err != nil {
				t.Fatal(err)
			}
		}
		return directorytest.Fixture{
			Directory: directory.NewEmbedded(accounts),
			Remove: func(t *testing.T, name string) {
				if err := accounts.Delete(t.Context(), ids[name]); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}
