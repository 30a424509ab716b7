package agent

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// authority is an instance of a test that signs.
type authority struct {
	t         *testing.T
	root, key *seal.SigningKey
	set       seal.KeySet
}

func signingKey(t *testing.T) *seal.SigningKey {
	t.Helper()
	k, err := seal.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, root: signingKey(t)}
	a.rotate()
	return a
}

// rotate replaces the signing key.
func (a *authority) rotate() seal.Envelope {
	a.t.Helper()
	a.key = signingKey(a.t)
	a.set = seal.KeySet{
		Version: a.set.Version + 1, Instance: "instance", Servers: []string{"https://server.example.com"},
		Keys: []seal.PublicKey{{ID: a.key.ID(), Key: a.key.Public(), Purposes: []seal.Purpose{seal.PurposeAuthority, seal.PurposeLease, seal.PurposeOrder}}},
	}
	return a.signedSet()
}

func (a *authority) signedSet() seal.Envelope {
	a.t.Helper()
	e, err := a.set.Sign(a.root)
	if err != nil {
		a.t.Fatal(err)
	}
	return e
}

func (a *authority) trust() *trust {
	a.t.Helper()
	t, err := identity{Client: "client", Instance: "instance", RootKey: a.root.Public(), KeySet: a.signedSet(), Epoch: 3}.open()
	if err != nil {
		a.t.Fatal(err)
	}
	return t
}

func (a *authority) sign(answer wire.PollAnswer) seal.Envelope {
	a.t.Helper()
	b, err := json.Marshal(answer)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.key.Sign(seal.TypeAnswer, b)
}

func TestVerify(t *testing.T) {
	request := wire.PollRequest{Nonce: []byte("0123456789abcdef")}
	good := wire.PollAnswer{
		Protocol: wire.ProtocolVersion, Instance: "instance", Client: "client", Epoch: 3, Nonce: request.Nonce,
		Time: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
	}
	tests := []struct {
		name  string
		make  func(a *authority) seal.Envelope
		kind  error
		epoch dormer.Epoch
		set   int
	}{
		{"good", func(a *authority) seal.Envelope { return a.sign(good) }, nil, 3, 1},
		{"promoted", func(a *authority) seal.Envelope { x := good; x.Epoch = 4; return a.sign(x) }, nil, 4, 1},
		{"superseded", func(a *authority) seal.Envelope { x := good; x.Epoch = 2; return a.sign(x) }, dormer.ErrFenced, 0, 0},
		{"another instance", func(a *authority) seal.Envelope { x := good; x.Instance = "other"; return a.sign(x) }, dormer.ErrDenied, 0, 0},
		{"another client", func(a *authority) seal.Envelope { x := good; x.Client = "other"; return a.sign(x) }, dormer.ErrDenied, 0, 0},
		{"played back", func(a *authority) seal.Envelope { x := good; x.Nonce = []byte("fedcba9876543210"); return a.sign(x) }, dormer.ErrDenied, 0, 0},
		{"without nonce", func(a *authority) seal.Envelope { x := good; x.Nonce = nil; return a.sign(x) }, dormer.ErrDenied, 0, 0},
		{"without time", func(a *authority) seal.Envelope { x := good; x.Time = time.Time{}; return a.sign(x) }, dormer.ErrCorrupt, 0, 0},
		{"newer protocol", func(a *authority) seal.Envelope { x := good; x.Protocol = wire.ProtocolVersion + 1; return a.sign(x) }, dormer.ErrUnsupported, 0, 0},
		{"a changed bit", func(a *authority) seal.Envelope { e := a.sign(good); e.Payload[20] ^= 1; return e }, dormer.ErrCorrupt, 0, 0},
		{"another type", func(a *authority) seal.Envelope { e := a.sign(good); e.Type = seal.TypeLease; return e }, dormer.ErrCorrupt, 0, 0},
		{"not JSON", func(a *authority) seal.Envelope { return a.key.Sign(seal.TypeAnswer, []byte("{")) }, dormer.ErrCorrupt, 0, 0},
		{"an unknown key", func(a *authority) seal.Envelope { a.rotate(); return a.sign(good) }, dormer.ErrDenied, 0, 0},
		{"a rotated key with its set", func(a *authority) seal.Envelope {
			x, set := good, a.rotate()
			x.KeySet = &set
			return a.sign(x)
		}, nil, 3, 2},
		{"a set of another root", func(a *authority) seal.Envelope {
			a.root = signingKey(a.t)
			x, set := good, a.rotate()
			x.KeySet = &set
			return a.sign(x)
		}, dormer.ErrDenied, 0, 0},
		{"an older set", func(a *authority) seal.Envelope {
			x := good
			old := a.set
			old.Version = 0
			set, err := old.Sign(a.root)
			if err != nil {
				a.t.Fatal(err)
			}
			x.KeySet = &set
			return a.sign(x)
		}, nil, 3, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAuthority(t)
			before := a.trust()
			_, after, err := verify(before, request, tt.make(a))
			if !errors.Is(err, tt.kind) {
				t.Fatalf("got %v, want %v", err, tt.kind)
			}
			if tt.kind != nil {
				return
			}
			if after.Epoch != tt.epoch || after.keys.Version != tt.set {
				t.Errorf("epoch %d and key set %d, want %d and %d", after.Epoch, after.keys.Version, tt.epoch, tt.set)
			}
			if before.Epoch != 3 || before.keys.Version != 1 {
				t.Error("the trust before was changed")
			}
		})
	}
}

func TestIdentityOpens(t *testing.T) {
	a := newAuthority(t)
	good := a.trust().identity
	if _, err := good.open(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*identity){
		"root key":         func(i *identity) { i.RootKey = signingKey(t).Public() },
		"short root key":   func(i *identity) { i.RootKey = i.RootKey[:8] },
		"another instance": func(i *identity) { i.Instance = "other" },
		"changed set":      func(i *identity) { i.KeySet.Payload = append([]byte(" "), i.KeySet.Payload...) },
	} {
		i := good
		change(&i)
		if _, err := i.open(); !errors.Is(err, dormer.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPolicyFile(t *testing.T) {
	if name, err := policyFile("sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"); err != nil || len(name) != len(DirPolicies)+65 {
		t.Errorf("%q, %v", name, err)
	}
	for _, hash := range []string{"", "sha256:", "sha256:../../../../../../../../../../../../../../../../../../../etc/pass", "md5:00", "sha256:" + "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"} {
		if _, err := policyFile(hash); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%q: %v", hash, err)
		}
	}
}
