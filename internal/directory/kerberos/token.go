package kerberos

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"
)

// incoming is a token as it came.
type incoming struct {
	request messages.APReq
	// negotiated is the mechanism that the client named first; nil for a bare
	// Kerberos token, which is answered by a bare one.
	negotiated asn1.ObjectIdentifier
}

// Identifiers of tokens within GSS-API tokens of Kerberos (RFC 4121, 4.1).
var (
	tokenRequest = []byte{1, 0}
	tokenReply   = []byte{2, 0}
)

// parse reads a SPNEGO token, or a bare Kerberos token, down to the request
// with the ticket. It may panic.
func parse(token []byte) (incoming, error) {
	switch {
	case len(token) == 0:
		return incoming{}, errMalformed
	case len(token) > MaxToken:
		return incoming{}, refuse("larger than %d bytes", MaxToken)
	case bytes.HasPrefix(token, []byte("NTLMSSP\x00")):
		return incoming{}, refuse("missing: the client sent NTLM; it has no ticket for this name, or does not trust this address")
	}
	var in incoming
	mechanism, rest, err := unwrap(token)
	if err != nil {
		return incoming{}, err
	}
	if mechanism.Equal(gssapi.OIDSPNEGO.OID()) {
		init, negotiation, err := spnego.UnmarshalNegToken(rest)
		first, ok := negotiation.(spnego.NegTokenInit)
		if err != nil || !init || !ok || len(first.MechTypes) == 0 {
			return incoming{}, errMalformed
		}
		in.negotiated = first.MechTypes[0]
		switch {
		// What comes with the offer is for the mechanism that is offered first.
		case !isKerberos(in.negotiated):
			return incoming{}, refuse("missing: the client offers another way first (%s)", mechanismName(in.negotiated))
		case len(first.MechTokenBytes) == 0:
			return incoming{}, refuse("missing: the client offers Kerberos but sent no ticket")
		}
		if mechanism, rest, err = unwrap(first.MechTokenBytes); err != nil {
			return incoming{}, err
		}
	}
	if !isKerberos(mechanism) {
		return incoming{}, refuse("missing: the token is of another kind (%s)", mechanismName(mechanism))
	}
	body, ok := bytes.CutPrefix(rest, tokenRequest)
	if !ok || in.request.Unmarshal(body) != nil {
		return incoming{}, errMalformed
	}
	return in, nil
}

// unwrap takes the framing of GSS-API (RFC 2743, 3.1) from a token.
func unwrap(token []byte) (mechanism asn1.ObjectIdentifier, rest []byte, err error) {
	rest, err = asn1.UnmarshalWithParams(token, &mechanism, "application,explicit,tag:0")
	if err != nil {
		return nil, nil, errMalformed
	}
	return mechanism, rest, nil
}

func wrap(mechanism asn1.ObjectIdentifier, rest []byte) ([]byte, error) {
	b, err := asn1.Marshal(mechanism)
	if err != nil {
		return nil, fmt.Errorf("make reply: %w", err)
	}
	return asn1tools.AddASNAppTag(append(b, rest...), 0), nil
}

func isKerberos(mechanism asn1.ObjectIdentifier) bool {
	return mechanism.Equal(gssapi.OIDKRB5.OID()) || mechanism.Equal(gssapi.OIDMSLegacyKRB5.OID())
}

func mechanismName(mechanism asn1.ObjectIdentifier) string {
	switch s := mechanism.String(); s {
	case "1.3.6.1.4.1.311.2.2.10":
		return "NTLM"
	case "1.3.6.1.4.1.311.2.2.30":
		return "NEGOEX"
	default:
		return fmt.Sprintf("%.40s", s)
	}
}

// wantsMutual reads the flags of GSS-API out of the authenticator's checksum
// (RFC 4121, 4.1.1). What is delegated there is not looked at.
func wantsMutual(sum types.Checksum) (bool, error) {
	const flagsEnd = 24
	if sum.CksumType != chksumtype.GSSAPI || len(sum.Checksum) < flagsEnd {
		return false, errMalformed
	}
	return binary.LittleEndian.Uint32(sum.Checksum[flagsEnd-4:flagsEnd])&gssapi.ContextFlagMutual != 0, nil
}

// replyPart is EncAPRepPart of RFC 4120, 5.5.2.
type replyPart struct {
	CTime    time.Time `asn1:"generalized,explicit,tag:0"`
	Cusec    int       `asn1:"explicit,tag:1"`
	Sequence int64     `asn1:"optional,explicit,tag:3"`
}

// reply makes the token that ends the negotiation. With mutual it proves that
// the service could open the ticket.
func (in incoming) reply(req *messages.APReq, mutual bool, random io.Reader) ([]byte, error) {
	var proof []byte
	if mutual {
		var err error
		if proof, err = prove(req, random); err != nil {
			return nil, err
		}
	}
	if in.negotiated == nil {
		return proof, nil
	}
	done := spnego.NegTokenResp{NegState: asn1.Enumerated(spnego.NegStateAcceptCompleted), SupportedMech: in.negotiated, ResponseToken: proof}
	b, err := done.Marshal()
	if err != nil {
		return nil, fmt.Errorf("make reply: %w", err)
	}
	return b, nil
}

func prove(req *messages.APReq, random io.Reader) ([]byte, error) {
	var number [4]byte
	if _, err := io.ReadFull(random, number[:]); err != nil {
		return nil, fmt.Errorf("make reply: %w", err)
	}
	// Never 0: that would be left out.
	sequence := int64(binary.BigEndian.Uint32(number[:])>>2 | 1)
	part, err := asn1.Marshal(replyPart{CTime: req.Authenticator.CTime, Cusec: req.Authenticator.Cusec, Sequence: sequence})
	if err != nil {
		return nil, fmt.Errorf("make reply: %w", err)
	}
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, asnAppTag.EncAPRepPart), req.Ticket.DecryptedEncPart.Key, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, fmt.Errorf("make reply: %w", err)
	}
	answer, err := asn1.Marshal(messages.APRep{PVNO: iana.PVNO, MsgType: msgtype.KRB_AP_REP, EncPart: sealed})
	if err != nil {
		return nil, fmt.Errorf("make reply: %w", err)
	}
	return wrap(gssapi.OIDKRB5.OID(), append(bytes.Clone(tokenReply), asn1tools.AddASNAppTag(answer, asnAppTag.APREP)...))
}
