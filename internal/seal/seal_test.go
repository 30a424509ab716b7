package seal_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/seal"
)

func signingKey(t *testing.T) *seal.SigningKey {
	t.Helper()
	k, err := seal.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keySet(k *seal.SigningKey, purposes ...seal.Purpose) seal.KeySet {
	return seal.KeySet{
		Version: 1, Instance: "i",
		Keys:    []seal.PublicKey{{ID: k.ID(), Purposes: purposes, Key: k.Public()}},
		Servers: []string{"https://dormer.example.com"},
	}
}

func TestEnvelopeSurvivesStorage(t *testing.T) {
	k := signingKey(t)
	e, err := seal.ParseEnvelope(k.Sign(seal.TypeLease, []byte(`{"a":1}`)).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := keySet(k, seal.PurposeLease).Open(seal.TypeLease, e)
	if err != nil {
		t.Fatal(err)
	}
	if string(payload) != `{"a":1}` {
		t.Errorf("payload is %q", payload)
	}
}

// Every single bit of what is signed, and of the signature, counts.
func TestOneChangedBitIsRefused(t *testing.T) {
	k := signingKey(t)
	keys := keySet(k, seal.PurposeLease)
	good := k.Sign(seal.TypeLease, []byte("payload"))
	for i := range len(good.Payload) * 8 {
		e := good
		e.Payload = bytes.Clone(good.Payload)
		e.Payload[i/8] ^= 1 << (i % 8)
		if _, err := keys.Open(seal.TypeLease, e); !errors.Is(err, dormer.ErrCorrupt) {
			t.Fatalf("payload with bit %d flipped: %v, want ErrCorrupt", i, err)
		}
	}
	for i := range len(good.Signature) * 8 {
		e := good
		e.Signature = bytes.Clone(good.Signature)
		e.Signature[i/8] ^= 1 << (i % 8)
		if _, err := keys.Open(seal.TypeLease, e); !errors.Is(err, dormer.ErrCorrupt) {
			t.Fatalf("signature with bit %d flipped: %v, want ErrCorrupt", i, err)
		}
	}
}

func TestKeySetOpen(t *testing.T) {
	k, other := signingKey(t), signingKey(t)
	relabelled := k.Sign(seal.TypeLease, []byte("x"))
	relabelled.Type = seal.TypeOrder
	stolenName := other.Sign(seal.TypeLease, []byte("x"))
	stolenName.KeyID = k.ID()
	tests := []struct {
		name     string
		purposes []seal.Purpose
		typ      seal.Type
		e        seal.Envelope
		want     error
	}{
		{"right purpose", []seal.Purpose{seal.PurposeLease}, seal.TypeLease, k.Sign(seal.TypeLease, []byte("x")), nil},
		{"wrong purpose", []seal.Purpose{seal.PurposePublisher}, seal.TypeLease, k.Sign(seal.TypeLease, []byte("x")), dormer.ErrDenied},
		{"unknown key", []seal.Purpose{seal.PurposeLease}, seal.TypeLease, other.Sign(seal.TypeLease, []byte("x")), dormer.ErrDenied},
		{"key named, not used", []seal.Purpose{seal.PurposeLease}, seal.TypeLease, stolenName, dormer.ErrCorrupt},
		{"other type asked for", []seal.Purpose{seal.PurposeLease, seal.PurposeOrder}, seal.TypeOrder, k.Sign(seal.TypeLease, []byte("x")), dormer.ErrCorrupt},
		{"signature moved to another type", []seal.Purpose{seal.PurposeLease, seal.PurposeOrder}, seal.TypeOrder, relabelled, dormer.ErrCorrupt},
		{"key sets are the root key's alone", []seal.Purpose{seal.PurposeAuthority}, seal.TypeKeySet, k.Sign(seal.TypeKeySet, []byte("x")), dormer.ErrDenied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := keySet(k, tt.purposes...).Open(tt.typ, tt.e); !errors.Is(err, tt.want) {
				t.Errorf("Open = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestOpenKeySet(t *testing.T) {
	root, k := signingKey(t), signingKey(t)
	set := keySet(k, seal.PurposeLease)
	e, err := set.Sign(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := seal.OpenKeySet(root.Public(), e)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set, got); diff != "" {
		t.Error(diff)
	}
	if _, err := seal.OpenKeySet(k.Public(), e); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("key set under another root: %v, want ErrCorrupt", err)
	}
	set.Keys[0].ID = "0000000000000000"
	e, err = set.Sign(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.OpenKeySet(root.Public(), e); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("key set with a wrong key identity: %v, want ErrCorrupt", err)
	}
}

func TestClientKey(t *testing.T) {
	k, err := seal.NewFileKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := k.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := seal.ParseFileKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	der, err := seal.MarshalClientPublic(k)
	if err != nil {
		t.Fatal(err)
	}
	public, err := seal.ParseClientPublic(der)
	if err != nil {
		t.Fatal(err)
	}

	sig, err := seal.SignChallenge(rand.Reader, again, []byte("challenge"))
	if err != nil {
		t.Fatal(err)
	}
	if !public.VerifyChallenge([]byte("challenge"), sig) {
		t.Error("the signature on a challenge does not verify")
	}
	if public.VerifyChallenge([]byte("another"), sig) {
		t.Error("a signature verifies for another challenge")
	}

	sealed, err := public.Seal("disk m1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Error("the secret can be read in what was sealed")
	}
	secret, err := seal.Unseal(again, "disk m1", sealed)
	if err != nil || string(secret) != "secret" {
		t.Errorf("Unseal = %q, %v", secret, err)
	}
	if _, err := seal.Unseal(again, "disk m2", sealed); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("unsealed for another use: %v, want ErrCorrupt", err)
	}
	stranger, err := seal.NewFileKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Unseal(stranger, "disk m1", sealed); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("unsealed by another client: %v, want ErrCorrupt", err)
	}
}

func FuzzParseEnvelope(f *testing.F) {
	k, err := seal.NewSigningKey(bytes.NewReader(make([]byte, 64)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Sign(seal.TypeLease, []byte("{}")).Bytes())
	f.Add([]byte(`{"type":"","key_id":"","payload":"","signature":""}`))
	f.Add([]byte(`[]`))
	keys := keySet(k, seal.PurposeLease)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := seal.ParseEnvelope(b)
		if err != nil {
			if !errors.Is(err, dormer.ErrCorrupt) && !errors.Is(err, dormer.ErrTooLarge) {
				t.Errorf("error %v has the wrong kind", err)
			}
			return
		}
		if payload, err := keys.Open(seal.TypeLease, e); err == nil && string(payload) != "{}" {
			t.Errorf("accepted a payload that was never signed: %q", payload)
		}
		if _, err := seal.ParseEnvelope(e.Bytes()); err != nil {
			t.Errorf("an envelope does not survive being stored: %v", err)
		}
	})
}

func FuzzParseClientKeys(f *testing.F) {
	k, err := seal.NewFileKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := seal.MarshalClientPublic(k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := seal.ParseClientPublic(b); err == nil {
			p.VerifyChallenge([]byte("c"), b)
		}
		_, _ = seal.ParseFileKey(b)
	})
}
