package lease_test

import (
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
