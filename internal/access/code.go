package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// One-time codes. A code is base64url, without padding, of
//
//	version   1 byte, 1
//	expires   8 bytes, seconds since 1970, big endian
//	random    16 bytes
//	texts     client, directory, key and name of the user: each 2 bytes of
//	          length and so many bytes
//	mac       32 bytes: HMAC-SHA-256 under the code key of codeLabel and all
//	          that comes before
const (
	codeVersion = 1
	codeLabel   = "dormer sign-in code\x00"
	codeKeySize = 32
	codeRandom  = 16
	// CodeLifetime is how long a one-time code counts.
	CodeLifetime = time.Minute
	maxText      = 2 << 10 // bytes, each of its texts
)

// code is what a one-time code says.
type code struct {
	expires time.Time
	random  [codeRandom]byte
	client  dormer.ClientID
	user    dormer.Principal // always a user
}

func (c code) texts() []string {
	return []string{string(c.client), c.user.Directory, c.user.Key, c.user.Name}
}

// encode returns what is signed, ErrTooLarge when a text is too long for it.
func (c code) encode() ([]byte, error) {
	b := append([]byte{codeVersion}, binary.BigEndian.AppendUint64(nil, uint64(c.expires.Unix()))...) //nolint:gosec // after 1970
	b = append(b, c.random[:]...)
	for _, text := range c.texts() {
		if len(text) > maxText {
			return nil, fmt.Errorf("a text of %d bytes in a one-time code: %w", len(text), dormer.ErrTooLarge)
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(text))) //nolint:gosec // bounded above
		b = append(b, text...)
	}
	if base64.RawURLEncoding.EncodedLen(len(b)+sha256.Size) > wire.MaxSignInCode {
		return nil, fmt.Errorf("a one-time code of %d bytes: %w", len(b), dormer.ErrTooLarge)
	}
	return b, nil
}

// decodeCode is the inverse of encode, for bytes of which the signature was
// checked. ErrUnauthenticated for what encode does not make.
func decodeCode(b []byte) (code, error) {
	var c code
	bad := fmt.Errorf("the code is malformed: %w", dormer.ErrUnauthenticated)
	const head = 1 + 8 + codeRandom
	if len(b) < head || b[0] != codeVersion {
		return code{}, bad
	}
	seconds := binary.BigEndian.Uint64(b[1:])
	if seconds >= 1<<40 {
		return code{}, bad
	}
	c.expires = time.Unix(int64(seconds), 0).UTC()
	copy(c.random[:], b[9:])
	b = b[head:]
	var texts [4]string
	for i := range texts {
		if len(b) < 2 {
			return code{}, bad
		}
		n := int(binary.BigEndian.Uint16(b))
		if n > maxText || len(b) < 2+n || !utf8.Valid(b[2:2+n]) {
			return code{}, bad
		}
		texts[i], b = string(b[2:2+n]), b[2+n:]
	}
	if len(b) > 0 {
		return code{}, bad
	}
	c.client = dormer.ClientID(texts[0])
	c.user = dormer.Principal{Directory: texts[1], Kind: dormer.KindUser, Key: texts[2], Name: texts[3]}
	return c, nil
}

func (a *Authenticator) macOfCode(b []byte) []byte {
	m := hmac.New(sha256.New, a.cfg.CodeKey)
	m.Write([]byte(codeLabel))
	m.Write(b)
	return m.Sum(nil)
}

func (a *Authenticator) codes() error {
	if len(a.cfg.CodeKey) != codeKeySize || a.cfg.Once == nil {
		return fmt.Errorf("one-time codes: %w", dormer.ErrUnsupported)
	}
	return nil
}

// MakeCode returns a one-time code for a user who has just signed in, with
// which client opens a session of theirs within CodeLifetime. Nothing is kept
// of it.
func (a *Authenticator) MakeCode(p dormer.Principal, client dormer.ClientID) (wire.SignInCode, error) {
	if err := a.codes(); err != nil {
		return wire.SignInCode{}, err
	}
	if client == "" || p.Kind != dormer.KindUser {
		return wire.SignInCode{}, dormer.Invalidf("client", "a one-time code is for a user on a client")
	}
	// Rounded up: it counts for no less than it should.
	c := code{expires: a.cfg.Now().Add(CodeLifetime + time.Second - 1).UTC().Truncate(time.Second), client: client, user: p}
	if _, err := io.ReadFull(a.cfg.Random, c.random[:]); err != nil {
		return wire.SignInCode{}, fmt.Errorf("make a one-time code: %w", err)
	}
	b, err := c.encode()
	if err != nil {
		return wire.SignInCode{}, err
	}
	return wire.SignInCode{Code: base64.RawURLEncoding.EncodeToString(append(b, a.macOfCode(b)...)), User: p, Expires: c.expires}, nil
}

// RedeemCode returns who a one-time code stands for, once. ErrUnauthenticated,
// with a cause that is fit for the audit log, when it does not count, is for
// another client, or was used before on any replica; *RefusedError, beside the
// user whom it is about, when the account may not be used any more.
func (a *Authenticator) RedeemCode(ctx context.Context, text string, client dormer.ClientID) (dormer.Principal, error) {
	if err := a.codes(); err != nil {
		return dormer.Principal{}, err
	}
	c, err := a.verifyCode(text)
	if err == nil {
		err = a.redeem(ctx, c, client)
	}
	if _, refused := errors.AsType[*RefusedError](err); refused {
		return c.user, fmt.Errorf("sign in by one-time code: %w", err)
	}
	if err != nil {
		return dormer.Principal{}, fmt.Errorf("sign in by one-time code: %w", err)
	}
	return c.user, nil
}

func (a *Authenticator) verifyCode(text string) (code, error) {
	if len(text) > wire.MaxSignInCode {
		return code{}, fmt.Errorf("the code has %d bytes: %w", len(text), dormer.ErrUnauthenticated)
	}
	// There is one text of each code: strict, and without the line breaks that
	// are passed over even so.
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < sha256.Size || strings.ContainsAny(text, "\r\n") {
		return code{}, fmt.Errorf("the code is malformed: %w", dormer.ErrUnauthenticated)
	}
	said, mac := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if !hmac.Equal(mac, a.macOfCode(said)) {
		return code{}, fmt.Errorf("the code was not made by this instance: %w", dormer.ErrUnauthenticated)
	}
	return decodeCode(said)
}

func (a *Authenticator) redeem(ctx context.Context, c code, client dormer.ClientID) error {
	switch {
	case c.client != client:
		return fmt.Errorf("the code is for another client: %w", dormer.ErrUnauthenticated)
	case !a.cfg.Now().Before(c.expires):
		return fmt.Errorf("the code has expired: %w", dormer.ErrUnauthenticated)
	}
	began := a.sessions.begin()
	// Before it is used up: while the directory does not answer it may be tried
	// again.
	if err := a.usable(ctx, c.user); err != nil {
		return err
	}
	b, err := c.encode()
	if err != nil {
		return err
	}
	if err := a.useOnce(ctx, onceCode, sha256.Sum256(b), c.expires); err != nil {
		return err
	}
	a.proved(c.user, began)
	return nil
}
