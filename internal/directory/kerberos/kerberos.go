// Package kerberos checks Kerberos tickets that come in HTTP requests
// (SPNEGO: RFC 4178, RFC 4559, RFC 4121) and makes the token that a user's
// ticket cache can present. The server imports it for Acceptor, the command
// line for Initiate, and package ldap to read the keytab of its service account.
//
// A ticket gives a principal and nothing else: the groups that Active
// Directory puts into it (the PAC) are as old as the sign-in on the desktop
// and are not read, only which account it is of. Nothing is delegated either.
//
// Words: the service is who the ticket is for, as HTTP/dormer.example.com; the
// realm is the Kerberos name of a domain, in capitals; the authenticator is
// what the client adds to the ticket to prove that it has its key, and must
// count only once.
package kerberos

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

const (
	// MaxToken is the largest token that is looked at, in bytes. Tickets of
	// users in very many groups have some 48 KiB.
	MaxToken = access.MaxTicket
	// MaxSkew is how far the clocks of client and server may be apart.
	MaxSkew = 5 * time.Minute
	// replicaSkew is how far the clocks of replicas may be apart: an
	// authenticator is remembered for so much longer than it counts.
	replicaSkew = time.Minute
)

// Config is what an Acceptor is made of.
type Config struct {
	// Keytab is the file with the keys of the service. It is read again when it
	// changes.
	Keytab string
	// Services are what tickets may be for, as HTTP/dormer.example.com. None:
	// whatever of HTTP/ the keytab has keys for.
	Services []string
	// Realms are those whose users are let in.
	Realms []string
	// AllowRC4 accepts tickets that are encrypted with RC4 (and triple DES). The
	// password of the service's account can be guessed from them.
	AllowRC4 bool
	Now      func() time.Time
	Random   io.Reader
	Logger   *slog.Logger
}

// Acceptor checks tickets against a keytab. It implements access.Negotiator
// and is safe for concurrent use.
type Acceptor struct {
	cfg  Config
	keys *keys
}

var (
	_ access.Negotiator = (*Acceptor)(nil)
	_ access.Tester     = (*Acceptor)(nil)
)

// NewAcceptor reads the keytab. Its errors say what is wrong with it.
func NewAcceptor(cfg Config) (*Acceptor, error) {
	a := &Acceptor{cfg: cfg, keys: &keys{path: cfg.Keytab, logger: cfg.Logger}}
	if err := a.keys.open(); err != nil {
		return nil, err
	}
	if len(cfg.Services) == 0 && len(a.Services()) == 0 {
		return nil, fmt.Errorf("keytab %s has no usable key of a service HTTP/...; it has: %s: %w", cfg.Keytab, a.keys, dormer.ErrInvalid)
	}
	have := a.Services()
	for _, s := range cfg.Services {
		if !slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, s) }) {
			return nil, fmt.Errorf("keytab %s has no usable key of %s; it has: %s: %w", cfg.Keytab, s, a.keys, dormer.ErrInvalid)
		}
	}
	return a, nil
}

// Services are those that tickets may be for and that the keytab has keys of.
func (a *Acceptor) Services() []string {
	var all []string
	for _, k := range a.keys.all() {
		if a.serves(k.service()) && a.takes(k.key.KeyType) && !slices.Contains(all, k.service()) {
			all = append(all, k.service())
		}
	}
	slices.Sort(all)
	return all
}

// serves reports whether tickets may be for a service. Names of services do
// not distinguish capitals in Active Directory.
func (a *Acceptor) serves(service string) bool {
	if len(a.cfg.Services) == 0 {
		return len(service) > len("HTTP/") && strings.EqualFold(service[:len("HTTP/")], "HTTP/")
	}
	return slices.ContainsFunc(a.cfg.Services, func(s string) bool { return strings.EqualFold(s, service) })
}

func (a *Acceptor) takes(encryption int32) bool {
	e, ok := encryptions[encryption]
	return ok && (e.strong || a.cfg.AllowRC4)
}

// Accept implements access.Negotiator.
func (a *Acceptor) Accept(ctx context.Context, token []byte) (t access.Ticket, err error) {
	if err := ctx.Err(); err != nil {
		return access.Ticket{}, fmt.Errorf("check ticket: %w", err)
	}
	// The library takes much of what it decodes for well-formed.
	defer func() {
		if recover() != nil {
			t, err = access.Ticket{}, errMalformed
		}
	}()
	in, err := parse(token)
	if err != nil {
		return access.Ticket{}, err
	}
	req := in.request
	if err := a.open(&req); err != nil {
		return access.Ticket{}, err
	}
	user, err := a.client(&req)
	if err != nil {
		return access.Ticket{}, err
	}
	made, mutual, err := a.authenticator(&req)
	if err != nil {
		return access.Ticket{}, err
	}
	reply, err := in.reply(&req, mutual, a.cfg.Random)
	if err != nil {
		return access.Ticket{}, err
	}
	return access.Ticket{
		User: user, Realm: req.Ticket.DecryptedEncPart.CRealm, Account: accountOf(req.Ticket.DecryptedEncPart.AuthorizationData), Reply: reply,
		ID: sha256.Sum256(req.EncryptedAuthenticator.Cipher), Expires: made.Add(MaxSkew + replicaSkew),
	}, nil
}

// refuse makes the error of a ticket that does not count. What came from the
// ticket is quoted and cut by the formats, which go on after "ticket".
func refuse(format string, args ...any) error {
	return fmt.Errorf("ticket "+format+": %w", append(args, dormer.ErrUnauthenticated)...)
}

var errMalformed = refuse("malformed")

// open decrypts the ticket with a key of the keytab.
func (a *Acceptor) open(req *messages.APReq) error {
	t := &req.Ticket
	if req.PVNO != iana.PVNO || t.TktVNO != iana.PVNO || len(t.SName.NameString) == 0 || len(req.APOptions.Bytes) == 0 {
		return errMalformed
	}
	if types.IsFlagSet(&req.APOptions, flags.APOptionUseSessionKey) {
		return refuse("encrypted for a user instead of a service")
	}
	service := t.SName.PrincipalNameString()
	if !a.serves(service) {
		return refuse("for another service, %.100q", service)
	}
	if !a.takes(t.EncPart.EType) {
		return refuse("encrypted with %s, which is not accepted: let the account of the service have AES keys", encryptionName(t.EncPart.EType))
	}
	all, err := a.keys.current()
	if err != nil {
		return err
	}
	var other []string // versions of keys that would fit otherwise
	known, tried := false, uint32(0)
	for _, k := range all {
		if k.realm != t.Realm || !strings.EqualFold(k.service(), service) {
			continue
		}
		known = true
		if k.key.KeyType != t.EncPart.EType {
			continue
		}
		if !k.is(t.EncPart.KVNO) {
			other = append(other, fmt.Sprint(k.version))
			continue
		}
		if t.Decrypt(k.key) == nil {
			return nil
		}
		tried = k.version
	}
	switch {
	case tried != 0:
		return refuse("cannot be decrypted with the key (version %d) of %.100q in the keytab: the keytab is not of this account or password", tried, service)
	case !known:
		return refuse("for %.100q of realm %.100q, of which the keytab has no key", service, t.Realm)
	case len(other) > 0:
		return refuse("encrypted with key version %d of %.100q; the keytab has %s: export it again, or let the user sign in again",
			t.EncPart.KVNO, service, strings.Join(other, ", "))
	}
	return refuse("encrypted with %s, of which the keytab has no key of %.100q", encryptionName(t.EncPart.EType), service)
}

// client checks times and origin of an opened ticket and returns the name of
// its user. The addresses that a ticket may be confined to are not looked at:
// behind a proxy or an address translator none would be right.
func (a *Acceptor) client(req *messages.APReq) (string, error) {
	t, now := req.Ticket.DecryptedEncPart, a.cfg.Now()
	starts := t.StartTime
	if starts.IsZero() {
		starts = t.AuthTime
	}
	switch {
	case len(t.Flags.Bytes) == 0 || len(t.CName.NameString) == 0:
		return "", errMalformed
	case types.IsFlagSet(&t.Flags, flags.Invalid) || starts.Sub(now) > MaxSkew:
		return "", refuse("not valid before %s: is a clock wrong?", starts.UTC().Format(time.RFC3339))
	case now.Sub(t.EndTime) > MaxSkew:
		return "", refuse("expired at %s", t.EndTime.UTC().Format(time.RFC3339))
	case !slices.Contains(a.cfg.Realms, t.CRealm):
		return "", refuse("of realm %.100q, which no directory here has", t.CRealm)
	}
	// A realm on the way could say that its users are another's.
	if t.CRealm != req.Ticket.Realm && !types.IsFlagSet(&t.Flags, flags.TransitedPolicyChecked) && len(t.Transited.Contents) > 0 {
		for way := range strings.SplitSeq(string(t.Transited.Contents), ",") {
			if !slices.Contains(a.cfg.Realms, way) {
				return "", refuse("came by way of realm %.100q, which no directory here has", way)
			}
		}
	}
	user := t.CName.NameString[0]
	if len(t.CName.NameString) != 1 || len(user) > dormer.MaxName || !utf8.ValidString(user) ||
		strings.ContainsFunc(user, func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`\/@`, r) }) || user == "" {
		return "", refuse("of %.100q, which is no user", t.CName.PrincipalNameString())
	}
	return user, nil
}

// authenticator checks what goes with an opened ticket, and returns when it
// was made and whether the client wants the service to prove itself.
func (a *Acceptor) authenticator(req *messages.APReq) (made time.Time, mutual bool, err error) {
	key := req.Ticket.DecryptedEncPart.Key
	if req.EncryptedAuthenticator.EType != key.KeyType || req.DecryptAuthenticator(key) != nil {
		return time.Time{}, false, refuse("came without a proof that its key is known")
	}
	p, t := req.Authenticator, req.Ticket.DecryptedEncPart
	if p.CRealm != t.CRealm || !p.CName.Equal(t.CName) {
		return time.Time{}, false, refuse("of another client than its authenticator")
	}
	made = p.CTime.Add(time.Duration(p.Cusec) * time.Microsecond)
	if off := a.cfg.Now().Sub(made); off.Abs() > MaxSkew {
		return time.Time{}, false, refuse("made at %s by the client's clock, more than %s away from the server's", made.UTC().Format(time.RFC3339), MaxSkew)
	}
	mutual, err = wantsMutual(p.Cksum)
	return made, mutual || types.IsFlagSet(&req.APOptions, flags.APOptionMutualRequired), err
}
