package access

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// FuzzCode decodes what no signature was checked of: it never fails otherwise
// than it should, and what it takes is what encode makes.
func FuzzCode(f *testing.F) {
	whole, err := code{
		expires: time.Unix(1_800_000_000, 0), random: [codeRandom]byte{1, 2, 3}, client: "client1",
		user: dormer.Principal{Directory: "corp", Kind: dormer.KindUser, Key: "S-1-5-21-1", Name: "Zoë"},
	}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte{})
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), 0))
	f.Add(append([]byte{2}, whole[1:]...))
	f.Add(append(bytes.Clone(whole[:25]), 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCode(b)
		if err != nil {
			if !errors.Is(err, dormer.ErrUnauthenticated) {
				t.Fatalf("error is %v", err)
			}
			return
		}
		again, err := c.encode()
		if errors.Is(err, dormer.ErrTooLarge) && len(b) > wire.MaxSignInCode/2 {
			return // longer than any text that is decoded
		}
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("encoded again it differs: %v\n%s", err, cmp.Diff(b, again))
		}
	})
}

// FuzzRedeem takes any text for a code of an authenticator's.
func FuzzRedeem(f *testing.F) {
	a := &Authenticator{cfg: Config{CodeKey: bytes.Repeat([]byte{7}, codeKeySize)}}
	f.Add("")
	f.Add("AQAAAABrSdIA")
	f.Add("AQAA\nAABrSdIA==")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := a.verifyCode(text); !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Fatalf("%q counts as that of %+v, %v", text, c.user, err)
		}
	})
}
