package access

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormer-project/dormer"
)

var testCost = Cost{MemoryKiB: 64, Passes: 1, Threads: 1}

func newTestHasher(t testing.TB, concurrent int) *Hasher {
	t.Helper()
	h, err := NewHasher(rand.Reader, testCost, concurrent)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHashAndVerify(t *testing.T) {
	h := newTestHasher(t, 1)
	a, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.Hash(t.Context(), "correct horse")
	if err != nil || a == b || !strings.HasPrefix(a, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("hashes %q and %q, %v", a, b, err)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horse ": false, "Correct horse": false, "": false} {
		if got, err := h.Verify(t.Context(), a, password); err != nil || got != want {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
	if got, err := h.Verify(t.Context(), "", "anything"); err != nil || got {
		t.Errorf("no hash: %v, %v", got, err)
	}
	// A hash that was made at another cost still counts.
	dear, err := NewHasher(rand.Reader, Cost{MemoryKiB: 128, Passes: 2, Threads: 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := dear.Verify(t.Context(), a, "correct horse"); err != nil || !got {
		t.Errorf("at another cost: %v, %v", got, err)
	}
}

func TestBadHashes(t *testing.T) {
	h := newTestHasher(t, 1)
	for _, s := range []string{
		"plain", "$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=4294967295,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=1000,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=1,p=1$$", "$argon2id$v=18$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
	} {
		if _, err := h.Verify(t.Context(), s, "x"); !errors.Is(err, dormer.ErrCorrupt) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		cost, salt, key, err := parseHash(s)
		if err != nil {
			if !errors.Is(err, dormer.ErrCorrupt) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if cost.MemoryKiB > maxHashMemoryKiB || cost.Passes > maxHashPasses || cost.Passes == 0 || cost.Threads == 0 || len(salt) == 0 || len(key) < 16 {
			t.Errorf("taken: %+v, %d, %d", cost, len(salt), len(key))
		}
	})
}

// TestHasherIsBounded: no more are hashed at once than the hasher was made
// for, and who waits can give up.
func TestHasherIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHasher(t, 2)
		for range 2 {
			if err := h.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var waited atomic.Int32
		var all sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 5 {
			all.Go(func() {
				if _, err := h.Hash(ctx, "x"); errors.Is(err, context.DeadlineExceeded) {
					waited.Add(1)
				}
			})
		}
		all.Wait()
		if waited.Load() != 5 {
			t.Errorf("%d of 5 waited", waited.Load())
		}
		h.release()
		if _, err := h.Hash(t.Context(), "x"); err != nil {
			t.Errorf("with a slot free: %v", err)
		}
	})
}

func TestCheckPassword(t *testing.T) {
	for password, ok := range map[string]bool{
		"long enough!": true, "elevenchars": false, "ééééééééééé": false, "éééééèèèèèèè": true, "aaaaaaaaaaaaaaa": false,
		"ADMINISTRATOR": false, "": false, strings.Repeat("ab", 600): false, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff": false,
	} {
		err := CheckPassword("password", "Administrator", password)
		if (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
		if err != nil && (!errors.Is(err, dormer.ErrInvalid) || (password != "" && strings.Contains(err.Error(), password))) {
			t.Errorf("%q: error %v", password, err)
		}
	}
	p, err := GeneratePassword(rand.Reader)
	if err != nil || CheckPassword("password", "admin", p) != nil || len(p) != 23 {
		t.Errorf("generated %q, %v", p, err)
	}
}
