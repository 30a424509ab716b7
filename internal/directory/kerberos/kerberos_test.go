package kerberos

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/dormer-project/dormer"
)

const (
	testRealm   = "CORP.EXAMPLE.TEST"
	otherRealm  = "OTHER.EXAMPLE.TEST"
	testService = "HTTP/dormer.corp.example.test"
	aes         = etypeID.AES256_CTS_HMAC_SHA1_96
	rc4         = etypeID.RC4_HMAC
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456000, time.UTC)

// issued is a ticket with its authenticator; what a test changes makes a bad
// one.
type issued struct {
	service, serviceRealm, user, realm string
	encryption                         int32
	version                            int
	password                           string // of the service
	flags                              []int
	transited                          string
	start, end, made                   time.Time
	mutual                             bool
	checksum                           int32
	claims                             string // user in the authenticator
	mechanisms                         []asn1.ObjectIdentifier
	bare                               bool
	options                            int // of the request; 0: none

	key types.EncryptionKey // of the session, once it is made
}

func good() issued {
	return issued{
		service: testService, serviceRealm: testRealm, user: "alice", realm: testRealm, encryption: aes, version: 3, password: "service password",
		start: noon.Add(-time.Hour), end: noon.Add(9 * time.Hour), made: noon, checksum: chksumtype.GSSAPI, claims: "alice",
		mechanisms: []asn1.ObjectIdentifier{gssapi.OIDKRB5.OID()},
	}
}

func (i *issued) token(t testing.TB) []byte {
	t.Helper()
	kt := keytab.New()
	check(t, kt.AddEntry(i.service, i.serviceRealm, i.password, noon, uint8(i.version), i.encryption))
	f := types.NewKrbFlags()
	types.SetFlags(&f, i.flags)
	sname, cname := types.NewPrincipalName(2, i.service), types.NewPrincipalName(1, i.user)
	ticket, key, err := messages.NewTicket(cname, i.realm, sname, i.serviceRealm, f, kt, i.encryption, i.version, i.start, i.start, i.end, i.end)
	check(t, err)
	if i.transited != "" {
		ticket = i.reseal(t, ticket, kt, key, f)
	}
	i.key = key
	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	if i.mutual {
		binary.LittleEndian.PutUint32(sum[20:], gssapi.ContextFlagMutual)
	}
	req, err := messages.NewAPReq(ticket, key, types.Authenticator{
		AVNO: 5, CRealm: i.realm, CName: types.NewPrincipalName(1, i.claims), Cksum: types.Checksum{CksumType: i.checksum, Checksum: sum},
		CTime: i.made.Truncate(time.Second), Cusec: i.made.Nanosecond() / 1000, SeqNumber: 7,
	})
	check(t, err)
	if i.options != 0 {
		types.SetFlag(&req.APOptions, i.options)
	}
	b, err := req.Marshal()
	check(t, err)
	inner, err := wrap(gssapi.OIDKRB5.OID(), append(bytes.Clone(tokenRequest), b...))
	check(t, err)
	if i.bare {
		return inner
	}
	outer, err := (&spnego.SPNEGOToken{Init: true, NegTokenInit: spnego.NegTokenInit{MechTypes: i.mechanisms, MechTokenBytes: inner}}).Marshal()
	check(t, err)
	return outer
}

// reseal makes the ticket again, with the realms it came through.
func (i *issued) reseal(t testing.TB, ticket messages.Ticket, kt *keytab.Keytab, key types.EncryptionKey, f asn1.BitString) messages.Ticket {
	t.Helper()
	part, err := asn1.Marshal(messages.EncTicketPart{
		Flags: f, Key: key, CRealm: i.realm, CName: types.NewPrincipalName(1, i.user),
		Transited: messages.TransitedEncoding{TRType: 1, Contents: []byte(i.transited)}, AuthTime: i.start, StartTime: i.start, EndTime: i.end,
	})
	check(t, err)
	part = append([]byte{}, mustTag(part, 3)...)
	k, _, err := kt.GetEncryptionKey(ticket.SName, i.serviceRealm, i.version, i.encryption)
	check(t, err)
	ticket.EncPart, err = crypto.GetEncryptedData(part, k, keyusage.KDC_REP_TICKET, i.version)
	check(t, err)
	return ticket
}

func mustTag(b []byte, tag int) []byte {
	out, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassApplication, IsCompound: true, Tag: tag, Bytes: b})
	if err != nil {
		panic(err)
	}
	return out
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// key is one key of a test's keytab.
type key struct {
	service    string
	realm      string
	password   string
	version    uint8
	encryption int32
	// named is what the keytab calls it, if that is not the name that the key was
	// made from: in Active Directory it is made from that of the account.
	named string
}

func keytabFile(t testing.TB, keys ...key) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dormer.keytab")
	check(t, os.WriteFile(path, keytabBytes(t, keys...), 0o600))
	return path
}

func keytabBytes(t testing.TB, keys ...key) []byte {
	t.Helper()
	kt := keytab.New()
	for _, k := range keys {
		check(t, kt.AddEntry(k.service, k.realm, k.password, noon, k.version, k.encryption))
		if k.named != "" {
			kt.Entries[len(kt.Entries)-1].Principal.Components = strings.Split(k.named, "/")
		}
	}
	b, err := kt.Marshal()
	check(t, err)
	return b
}

var serviceKey = key{service: testService, realm: testRealm, password: "service password", version: 3, encryption: aes}

func acceptor(t testing.TB, change func(*Config), keys ...key) *Acceptor {
	t.Helper()
	if len(keys) == 0 {
		keys = []key{serviceKey}
	}
	cfg := Config{
		Keytab: keytabFile(t, keys...), Realms: []string{testRealm}, Now: func() time.Time { return noon }, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	a, err := NewAcceptor(cfg)
	check(t, err)
	return a
}

func TestAccept(t *testing.T) {
	other := testService[:len("HTTP/")] + "other.corp.example.test"
	for name, c := range map[string]struct {
		ticket func(*issued)
		config func(*Config)
		keys   []key
	}{
		"negotiated": {},
		"bare":       {ticket: func(i *issued) { i.bare = true }},
		"mechanism of Windows": {ticket: func(i *issued) {
			i.mechanisms = []asn1.ObjectIdentifier{gssapi.OIDMSLegacyKRB5.OID(), gssapi.OIDKRB5.OID()}
		}},
		"service named":            {config: func(c *Config) { c.Services = []string{strings.ToUpper(testService)} }},
		"capitals":                 {ticket: func(i *issued) { i.service = "HTTP/Dormer.CORP.example.test" }, keys: []key{{service: "HTTP/Dormer.CORP.example.test", named: testService, realm: testRealm, password: "service password", version: 3, encryption: aes}}},
		"clock a little behind":    {ticket: func(i *issued) { i.made = noon.Add(-MaxSkew + time.Second) }},
		"clock a little ahead":     {ticket: func(i *issued) { i.made = noon.Add(MaxSkew - time.Second); i.start = i.made }},
		"expired within the skew":  {ticket: func(i *issued) { i.end = noon.Add(-time.Minute) }},
		"RC4 where it is allowed":  {ticket: func(i *issued) { i.encryption = rc4 }, config: func(c *Config) { c.AllowRC4 = true }, keys: []key{{service: testService, realm: testRealm, password: "service password", version: 3, encryption: rc4}}},
		"AES128":                   {ticket: func(i *issued) { i.encryption = etypeID.AES128_CTS_HMAC_SHA1_96 }, keys: []key{{service: testService, realm: testRealm, password: "service password", version: 3, encryption: etypeID.AES128_CTS_HMAC_SHA1_96}}},
		"an older version":         {ticket: func(i *issued) { i.version, i.password = 2, "old" }, keys: []key{serviceKey, {service: testService, realm: testRealm, password: "old", version: 2, encryption: aes}}},
		"no version, an older key": {ticket: func(i *issued) { i.version, i.password = 0, "old" }, keys: []key{serviceKey, {service: testService, realm: testRealm, password: "old", version: 2, encryption: aes}}},
		"user of a trusted realm":  {ticket: func(i *issued) { i.realm = otherRealm }, config: func(c *Config) { c.Realms = append(c.Realms, otherRealm) }},
		"by way of a known realm":  {ticket: func(i *issued) { i.realm, i.transited = otherRealm, testRealm }, config: func(c *Config) { c.Realms = append(c.Realms, otherRealm) }},
		"way checked by the domain": {ticket: func(i *issued) {
			i.realm, i.transited = otherRealm, "FAR"
			i.flags = []int{flags.TransitedPolicyChecked}
		}, config: func(c *Config) { c.Realms = append(c.Realms, otherRealm) }},
		"another key beside": {keys: []key{{service: other, realm: testRealm, password: "other", version: 3, encryption: aes}, serviceKey}},
	} {
		t.Run(name, func(t *testing.T) {
			i := good()
			if c.ticket != nil {
				c.ticket(&i)
			}
			a := acceptor(t, c.config, c.keys...)
			got, err := a.Accept(t.Context(), i.token(t))
			if err != nil {
				t.Fatal(err)
			}
			if got.User != "alice" || got.Realm != i.realm || got.ID == [32]byte{} {
				t.Errorf("ticket %+v", got)
			}
			if want := i.made.Add(MaxSkew); got.Expires.Before(want) || got.Expires.After(want.Add(5*time.Minute)) {
				t.Errorf("expires %s, the authenticator until %s", got.Expires, want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		ticket func(*issued)
		config func(*Config)
		keys   []key
		cause  string
	}{
		"expired":           {ticket: func(i *issued) { i.end = noon.Add(-6 * time.Minute) }, cause: "expired at 2026-11-22T11:54:00Z"},
		"not yet valid":     {ticket: func(i *issued) { i.start = noon.Add(6 * time.Minute) }, cause: "not valid before"},
		"invalid":           {ticket: func(i *issued) { i.flags = []int{flags.Invalid} }, cause: "not valid before"},
		"clock behind":      {ticket: func(i *issued) { i.made = noon.Add(-6 * time.Minute) }, cause: "by the client's clock"},
		"clock ahead":       {ticket: func(i *issued) { i.made = noon.Add(6 * time.Minute) }, cause: "by the client's clock"},
		"realm":             {ticket: func(i *issued) { i.realm = otherRealm }, cause: `of realm "OTHER.EXAMPLE.TEST", which no directory here has`},
		"realm in capitals": {ticket: func(i *issued) { i.realm = strings.ToLower(testRealm) }, cause: "which no directory here has"},
		"realm on the way": {
			ticket: func(i *issued) { i.realm, i.transited = otherRealm, otherRealm+",FAR.EXAMPLE.TEST" },
			config: func(c *Config) { c.Realms = append(c.Realms, otherRealm) }, cause: `by way of realm "FAR.EXAMPLE.TEST"`,
		},
		"another service": {ticket: func(i *issued) { i.service = "cifs/dormer.corp.example.test" }, cause: `for another service, "cifs/dormer.corp.example.test"`},
		"another host": {
			ticket: func(i *issued) { i.service = "HTTP/other.corp.example.test" }, cause: "of which the keytab has no key",
		},
		"not the service named": {
			ticket: func(i *issued) { i.service = "HTTP/other.corp.example.test" }, config: func(c *Config) { c.Services = []string{testService} },
			keys: []key{serviceKey, {service: "HTTP/other.corp.example.test", realm: testRealm, password: "service password", version: 3, encryption: aes}}, cause: "for another service",
		},
		"another realm's service": {ticket: func(i *issued) { i.serviceRealm = otherRealm }, cause: `of realm "OTHER.EXAMPLE.TEST", of which the keytab has no key`},
		"unknown version":         {ticket: func(i *issued) { i.version = 9 }, cause: "key version 9 of"},
		"wrong keytab":            {ticket: func(i *issued) { i.password = "another" }, cause: "cannot be decrypted with the key (version 3)"},
		"RC4": {
			ticket: func(i *issued) { i.encryption = rc4 }, keys: []key{serviceKey, {service: testService, realm: testRealm, password: "service password", version: 3, encryption: rc4}},
			cause: "encrypted with rc4-hmac, which is not accepted",
		},
		"another type than the keytab": {ticket: func(i *issued) { i.encryption = etypeID.AES128_CTS_HMAC_SHA1_96 }, cause: "encrypted with aes128-cts-hmac-sha1-96, of which the keytab has no key"},
		"user to user":                 {ticket: func(i *issued) { i.options = flags.APOptionUseSessionKey }, cause: "encrypted for a user"},
		"another user's authenticator": {ticket: func(i *issued) { i.claims = "bob" }, cause: "of another client than its authenticator"},
		"a service as user":            {ticket: func(i *issued) { i.user, i.claims = "host/dc1", "host/dc1" }, cause: `of "host/dc1", which is no user`},
		"a user of two domains":        {ticket: func(i *issued) { i.user, i.claims = `OTHER\alice`, `OTHER\alice` }, cause: "which is no user"},
		"a user with NUL":              {ticket: func(i *issued) { i.user, i.claims = "ali\x00ce", "ali\x00ce" }, cause: "which is no user"},
		"no user":                      {ticket: func(i *issued) { i.user, i.claims = "", "" }, cause: "which is no user"},
		"no checksum of GSS-API":       {ticket: func(i *issued) { i.checksum = chksumtype.RSA_MD5 }, cause: "malformed"},
		"NTLM first": {
			ticket: func(i *issued) {
				i.mechanisms = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}, gssapi.OIDKRB5.OID()}
			}, cause: "another way first (NTLM)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := good()
			if c.ticket != nil {
				c.ticket(&i)
			}
			got, err := acceptor(t, c.config, c.keys...).Accept(t.Context(), i.token(t))
			if !errors.Is(err, dormer.ErrUnauthenticated) || got.User != "" {
				t.Fatalf("%+v, %v", got, err)
			}
			if !strings.Contains(err.Error(), c.cause) {
				t.Errorf("the cause %q does not say %q", err, c.cause)
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	a := acceptor(t, nil)
	i := good()
	token := i.token(t)
	for name, b := range map[string][]byte{
		"nothing": nil, "a byte": {0x60}, "text": []byte("hello"), "half": token[:len(token)/2], "NTLM": []byte("NTLMSSP\x00\x01"),
		"too large": bytes.Repeat([]byte{0x60}, MaxToken+1), "no mechanisms": mustNegotiate(t, nil), "no token": mustNegotiate(t, []asn1.ObjectIdentifier{gssapi.OIDKRB5.OID()}),
	} {
		if _, err := a.Accept(t.Context(), b); !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Each byte counts, but for those of framing that nothing depends on.
	for n := range token {
		b := bytes.Clone(token)
		b[n] ^= 0x41
		got, err := a.Accept(t.Context(), b)
		if err == nil && (got.User != "alice" || got.Realm != testRealm) {
			t.Fatalf("byte %d changed: %+v", n, got)
		}
		if err != nil && !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Fatalf("byte %d changed: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Accept(ctx, token); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func mustNegotiate(t testing.TB, mechanisms []asn1.ObjectIdentifier) []byte {
	t.Helper()
	b, err := (&spnego.SPNEGOToken{Init: true, NegTokenInit: spnego.NegTokenInit{MechTypes: mechanisms}}).Marshal()
	check(t, err)
	return b
}

// A token that comes again has the same identity, whatever is around it;
// another authenticator of the same ticket has another.
func TestIdentity(t *testing.T) {
	a := acceptor(t, nil)
	i := good()
	token := i.token(t)
	first, err := a.Accept(t.Context(), token)
	check(t, err)
	again, err := a.Accept(t.Context(), token)
	check(t, err)
	_, inner, err := unwrap(token)
	check(t, err)
	_, negotiation, err := spnego.UnmarshalNegToken(inner)
	check(t, err)
	bare, err := a.Accept(t.Context(), negotiation.(spnego.NegTokenInit).MechTokenBytes)
	check(t, err)
	if first.ID != again.ID || first.ID != bare.ID {
		t.Errorf("identities %x, %x and %x of one authenticator", first.ID, again.ID, bare.ID)
	}
	next := good()
	next.made = noon.Add(time.Microsecond)
	other, err := a.Accept(t.Context(), next.token(t))
	check(t, err)
	if other.ID == first.ID {
		t.Error("two authenticators have one identity")
	}
}

// The service proves to a client that asks for it that it opened the ticket.
func TestMutual(t *testing.T) {
	for _, bare := range []bool{false, true} {
		i := good()
		i.mutual, i.bare = true, bare
		got, err := acceptor(t, nil).Accept(t.Context(), i.token(t))
		check(t, err)
		proof := got.Reply
		if !bare {
			init, negotiation, err := spnego.UnmarshalNegToken(got.Reply)
			check(t, err)
			resp, ok := negotiation.(spnego.NegTokenResp)
			if init || !ok || resp.State() != spnego.NegStateAcceptCompleted || !resp.SupportedMech.Equal(gssapi.OIDKRB5.OID()) {
				t.Fatalf("reply %+v", negotiation)
			}
			proof = resp.ResponseToken
		}
		var rep spnego.KRB5Token
		check(t, rep.Unmarshal(proof))
		b, err := crypto.DecryptEncPart(rep.APRep.EncPart, i.key, keyusage.AP_REP_ENCPART)
		check(t, err)
		var part messages.EncAPRepPart
		check(t, part.Unmarshal(b))
		if want := i.made.Truncate(time.Second); !part.CTime.Equal(want) || part.Cusec != i.made.Nanosecond()/1000 || part.SequenceNumber == 0 {
			t.Errorf("proof %+v of an authenticator of %s", part, i.made)
		}
	}
}

// Without it the reply only ends the negotiation, with the mechanism that the
// client named.
func TestReply(t *testing.T) {
	i := good()
	i.mechanisms = []asn1.ObjectIdentifier{gssapi.OIDMSLegacyKRB5.OID()}
	got, err := acceptor(t, nil).Accept(t.Context(), i.token(t))
	check(t, err)
	_, negotiation, err := spnego.UnmarshalNegToken(got.Reply)
	check(t, err)
	resp := negotiation.(spnego.NegTokenResp)
	if resp.State() != spnego.NegStateAcceptCompleted || !resp.SupportedMech.Equal(gssapi.OIDMSLegacyKRB5.OID()) || resp.ResponseToken != nil {
		t.Errorf("reply %+v", resp)
	}
}

func TestKeytabChanges(t *testing.T) {
	var path string
	var logged bytes.Buffer
	a := acceptor(t, func(c *Config) { path = c.Keytab; c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	accepts := func(version int, password string) bool {
		t.Helper()
		i := good()
		i.version, i.password = version, password
		_, err := a.Accept(t.Context(), i.token(t))
		return err == nil
	}
	if !accepts(3, "service password") || accepts(4, "new") {
		t.Fatal("the first keytab does not count")
	}
	check(t, os.WriteFile(path, keytabBytes(t, serviceKey, key{service: testService, realm: testRealm, password: "new", version: 4, encryption: aes}), 0o600))
	if !accepts(4, "new") || !accepts(3, "service password") {
		t.Error("a changed keytab is not picked up")
	}
	for _, b := range [][]byte{[]byte("\x05\x02secretsecret"), nil} {
		check(t, os.WriteFile(path, b, 0o600))
		logged.Reset()
		if !accepts(4, "new") || !accepts(3, "service password") {
			t.Error("a damaged keytab puts the good one out of use")
		}
		if s := logged.String(); strings.Count(s, "the keytab changed and cannot be read") != 1 || strings.Contains(s, "secret") {
			t.Errorf("logged %q", s)
		}
	}
	check(t, os.Remove(path))
	logged.Reset()
	if !accepts(4, "new") || !accepts(3, "service password") || strings.Count(logged.String(), "cannot be read") != 1 {
		t.Errorf("a keytab that is gone: logged %q", logged.String())
	}
}

func TestNewAcceptor(t *testing.T) {
	for name, c := range map[string]struct {
		keys     []key
		services []string
		rc4      bool
		cause    string // empty: good
		have     []string
	}{
		"any":              {keys: []key{serviceKey, {service: "host/dc1", realm: testRealm, password: "x", version: 1, encryption: aes}}, have: []string{testService}},
		"named":            {keys: []key{serviceKey}, services: []string{testService}, have: []string{testService}},
		"no HTTP":          {keys: []key{{service: "host/dc1", realm: testRealm, password: "x", version: 1, encryption: aes}}, cause: "no usable key of a service HTTP/...; it has: host/dc1@CORP.EXAMPLE.TEST (version 1, aes256-cts-hmac-sha1-96)"},
		"not the one":      {keys: []key{serviceKey}, services: []string{"HTTP/other"}, cause: "no usable key of HTTP/other; it has: " + testService},
		"RC4 alone":        {keys: []key{{service: testService, realm: testRealm, password: "x", version: 1, encryption: rc4}}, cause: "(version 1, rc4-hmac)"},
		"RC4 that may be":  {keys: []key{{service: testService, realm: testRealm, password: "x", version: 1, encryption: rc4}}, rc4: true, have: []string{testService}},
		"nothing in there": {keys: nil, cause: "is no keytab"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := NewAcceptor(Config{Keytab: keytabFile(t, c.keys...), Services: c.services, AllowRC4: c.rc4, Logger: slog.New(slog.DiscardHandler)})
			if c.cause != "" {
				if err == nil || !strings.Contains(err.Error(), c.cause) {
					t.Errorf("error %v, want %q", err, c.cause)
				}
				return
			}
			check(t, err)
			if d := cmp.Diff(c.have, a.Services()); d != "" {
				t.Error(d)
			}
		})
	}
	if _, err := NewAcceptor(Config{Keytab: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no keytab: %v", err)
	}
}

func FuzzAccept(f *testing.F) {
	a := acceptor(f, nil)
	plain, bare, mutual := good(), good(), good()
	bare.bare, mutual.mutual = true, true
	for _, i := range []issued{plain, bare, mutual} {
		f.Add(i.token(f))
	}
	f.Add(mustNegotiate(f, nil))
	f.Add([]byte("NTLMSSP\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := a.Accept(t.Context(), b)
		if err != nil && !errors.Is(err, dormer.ErrUnauthenticated) || err == nil && (got.User != "alice" || got.Realm != testRealm) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func FuzzKeytab(f *testing.F) {
	f.Add(keytabBytes(f, serviceKey, key{service: "host/dc1", realm: otherRealm, password: "x", version: 1, encryption: rc4}))
	f.Add([]byte{5, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := parseKeytab(b); err == nil && len(all) == 0 {
			t.Error("neither keys nor an error")
		}
	})
}
