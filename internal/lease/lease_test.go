package lease_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/seal"
)

func TestOpen(t *testing.T) {
	key, err := seal.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := seal.KeySet{Keys: []seal.PublicKey{{ID: key.ID(), Key: key.Public(), Purposes: []seal.Purpose{seal.PurposeLease, seal.PurposeOrder}}}}
	holder := lease.Holder{Instance: "i", Client: "c", Epoch: 2}
	good := lease.Lease{Version: 1, Instance: "i", Client: "c", Epoch: 2, Machine: "m", IssuedAt: time.Unix(1, 0).UTC()}
	tests := []struct {
		name   string
		change func(*lease.Lease)
		want   error
	}{
		{"good", func(*lease.Lease) {}, nil},
		{"newer epoch", func(l *lease.Lease) { l.Epoch = 3 }, nil},
		{"older epoch", func(l *lease.Lease) { l.Epoch = 1 }, dormer.ErrFenced},
		{"another client", func(l *lease.Lease) { l.Client = "d" }, dormer.ErrDenied},
		{"another instance", func(l *lease.Lease) { l.Instance = "j" }, dormer.ErrDenied},
		{"unknown version", func(l *lease.Lease) { l.Version = 2 }, dormer.ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := good
			tt.change(&l)
			e, err := l.Sign(key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := lease.Open(keys, holder, e)
			if !errors.Is(err, tt.want) {
				t.Fatalf("Open = %v, want %v", err, tt.want)
			}
			if tt.want == nil {
				if diff := cmp.Diff(l, got); diff != "" {
					t.Error(diff)
				}
			}
			if _, err := lease.OpenOrder(keys, holder, e); !errors.Is(err, dormer.ErrCorrupt) {
				t.Errorf("a lease passes for an order: %v", err)
			}
		})
	}
}

func TestOpenOrder(t *testing.T) {
	key, err := seal.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := seal.KeySet{Keys: []seal.PublicKey{{ID: key.ID(), Key: key.Public(), Purposes: []seal.Purpose{seal.PurposeOrder}}}}
	o := lease.Order{Version: 1, ID: "o", Instance: "i", Client: "c", Epoch: 1, Machine: "m", Kind: lease.OrderDelete, Reason: "left the company"}
	e, err := o.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := lease.OpenOrder(keys, lease.Holder{Instance: "i", Client: "c", Epoch: 1}, e); err != nil || got != o {
		t.Errorf("OpenOrder = %+v, %v", got, err)
	}
	if _, err := lease.OpenOrder(keys, lease.Holder{Instance: "i", Client: "c", Epoch: 2}, e); !errors.Is(err, dormer.ErrFenced) {
		t.Errorf("order of an old epoch: %v, want ErrFenced", err)
	}
	if _, err := lease.OpenOrder(keys, lease.Holder{Instance: "i", Client: "x", Epoch: 1}, e); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("order for another client: %v, want ErrDenied", err)
	}
}

// TestEveryByteOfALease: a lease or an order in which one bit differs anywhere is
// refused, and so is what was made for another client, another instance or by
// another key, whichever part was changed afterwards.
func TestEveryByteOfALease(t *testing.T) {
	key, err := seal.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := seal.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := seal.KeySet{Keys: []seal.PublicKey{{ID: key.ID(), Key: key.Public(), Purposes: []seal.Purpose{seal.PurposeLease, seal.PurposeOrder}}}}
	holder := lease.Holder{Instance: "i", Client: "c", Epoch: 2}
	until, budget := time.Unix(1_750_000_000, 0).UTC(), int64(3600)
	l := lease.Lease{
		Version: 1, Instance: "i", Client: "c", Epoch: 2, Machine: "m", IssuedAt: time.Unix(1, 0).UTC(), ValidUntil: &until, OfflineBudget: &budget,
		PolicyHash: "sha256:0", Requires: []string{"usb"}, Keys: []string{"disk m"}, DeleteWhen: []lease.Verdict{lease.Expired},
	}
	o := lease.Order{Version: 1, ID: "o", Instance: "i", Client: "c", Epoch: 2, Machine: "m", Kind: lease.OrderDelete, Reason: "x", Grace: &budget}
	signedLease, err := l.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	signedOrder, err := o.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	openLease := func(e seal.Envelope) error { _, err := lease.Open(keys, holder, e); return err }
	openOrder := func(e seal.Envelope) error { _, err := lease.OpenOrder(keys, holder, e); return err }
	for name, test := range map[string]struct {
		whole []byte
		open  func(seal.Envelope) error
	}{"lease": {signedLease.Bytes(), openLease}, "order": {signedOrder.Bytes(), openOrder}} {
		read := func(b []byte) error {
			e, err := seal.ParseEnvelope(b)
			if err != nil {
				return err
			}
			return test.open(e)
		}
		if err := read(test.whole); err != nil {
			t.Fatalf("%s as it was signed: %v", name, err)
		}
		for i := range test.whole {
			for bit := range 8 {
				changed := bytes.Clone(test.whole)
				changed[i] ^= 1 << bit
				if read(changed) == nil && !sameEnvelope(changed, test.whole) {
					t.Errorf("%s: bit %d of byte %d (%q) can be changed", name, bit, i, test.whole[max(0, i-10):min(len(test.whole), i+10)])
				}
			}
			if read(test.whole[:i]) == nil {
				t.Errorf("%s: cut after %d bytes it counts", name, i)
			}
		}
	}
	for name, change := range map[string]func(*lease.Lease){
		"another client": func(l *lease.Lease) { l.Client = "d" }, "another instance": func(l *lease.Lease) { l.Instance = "j" },
	} {
		foreign := l
		change(&foreign)
		e, err := foreign.Sign(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := openLease(e); !errors.Is(err, dormer.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
		// With the signature of one that is good, or a good one with its signature.
		for _, mixed := range []seal.Envelope{
			{Type: e.Type, KeyID: e.KeyID, Payload: e.Payload, Signature: signedLease.Signature},
			{Type: e.Type, KeyID: e.KeyID, Payload: signedLease.Payload, Signature: e.Signature},
		} {
			if openLease(mixed) == nil {
				t.Errorf("%s: payload and signature of two leases count", name)
			}
		}
	}
	e, err := l.Sign(stranger)
	if err != nil {
		t.Fatal(err)
	}
	if err := openLease(e); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("of another key: %v", err)
	}
	e.KeyID = key.ID()
	if openLease(e) == nil {
		t.Error("of another key under a known name: it counts")
	}
}

// sameEnvelope reports whether two texts are one envelope, written otherwise: JSON
// names fields without regard to case, and base64 ignores its last bits.
func sameEnvelope(a, b []byte) bool {
	x, errX := seal.ParseEnvelope(a)
	y, errY := seal.ParseEnvelope(b)
	return errX == nil && errY == nil && cmp.Equal(x, y)
}
