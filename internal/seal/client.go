package seal

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"

	"github.com/dormer-project/dormer"
)

// ClientKey is a client's own key: it signs the server's challenges and opens
// what was sealed to the client. It is an interface so that a TPM can hold it.
type ClientKey interface {
	crypto.Signer
	ecdh.KeyExchanger
}

// FileKey is a ClientKey whose private half is held in memory and kept in a file.
type FileKey struct {
	*ecdsa.PrivateKey
	exchange *ecdh.PrivateKey
}

// NewFileKey makes a P-256 key.
func NewFileKey(random io.Reader) (*FileKey, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, fmt.Errorf("make client key: %w", err)
	}
	return fileKey(k)
}

func fileKey(k *ecdsa.PrivateKey) (*FileKey, error) {
	exchange, err := k.ECDH()
	if err != nil {
		return nil, fmt.Errorf("client key: %w", err)
	}
	return &FileKey{PrivateKey: k, exchange: exchange}, nil
}

// PublicKey returns the public half for key agreement. It hides the
// embedded field of the same name; Public returns the half for signatures.
func (k *FileKey) PublicKey() *ecdh.PublicKey { return k.exchange.PublicKey() }

// Curve returns the curve of the key.
func (k *FileKey) Curve() ecdh.Curve { return k.exchange.Curve() }

// ECDH performs one key agreement.
func (k *FileKey) ECDH(remote *ecdh.PublicKey) ([]byte, error) { return k.exchange.ECDH(remote) }

// MarshalPEM returns the private key as PKCS #8 in PEM. The caller writes it
// with mode 0600.
func (k *FileKey) MarshalPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("encode client key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseFileKey reads what MarshalPEM wrote.
func ParseFileKey(b []byte) (*FileKey, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("client key is not PEM: %w", dormer.ErrCorrupt)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("client key is not PKCS #8: %w", dormer.ErrCorrupt)
	}
	k, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, fmt.Errorf("client key is not P-256: %w", dormer.ErrCorrupt)
	}
	return fileKey(k)
}

// MarshalClientPublic returns the public half as it is enrolled (PKIX, DER).
func MarshalClientPublic(k ClientKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		return nil, fmt.Errorf("encode public key of client: %w", err)
	}
	return der, nil
}

// ClientPublic is the public half of a client's key, as the server keeps it.
type ClientPublic struct {
	key *ecdsa.PublicKey
}

// ParseClientPublic reads what MarshalClientPublic wrote. Anything but a point
// on P-256 is ErrInvalid.
func ParseClientPublic(der []byte) (ClientPublic, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return ClientPublic{}, dormer.Invalidf("public_key", "is not a public key in PKIX form")
	}
	k, ok := parsed.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return ClientPublic{}, dormer.Invalidf("public_key", "is not a P-256 key")
	}
	return ClientPublic{key: k}, nil
}

// challengeDomain keeps signatures on challenges apart from all others.
const challengeDomain = "dormer challenge v1\x00"

func challengeDigest(challenge []byte) []byte {
	sum := sha256.Sum256(append([]byte(challengeDomain), challenge...))
	return sum[:]
}

// SignChallenge proves possession of k to a server that sent challenge.
func SignChallenge(random io.Reader, k ClientKey, challenge []byte) ([]byte, error) {
	sig, err := k.Sign(random, challengeDigest(challenge), crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign challenge: %w", err)
	}
	return sig, nil
}

// VerifyChallenge reports whether signature answers challenge under p.
func (p ClientPublic) VerifyChallenge(challenge, signature []byte) bool {
	return p.key != nil && ecdsa.VerifyASN1(p.key, challengeDigest(challenge), signature)
}

// Seal encrypts secret so that only the client that holds the private half of
// p opens it. info binds it to its use (for example "disk key MACHINE"); the
// same info opens it. HPKE, RFC 9180: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256,
// AES-256-GCM.
func (p ClientPublic) Seal(info string, secret []byte) ([]byte, error) {
	pub, err := p.key.ECDH()
	if err != nil {
		return nil, fmt.Errorf("seal to client: %w", err)
	}
	kem, err := hpke.NewDHKEMPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("seal to client: %w", err)
	}
	sealed, err := hpke.Seal(kem, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(info), secret)
	if err != nil {
		return nil, fmt.Errorf("seal to client: %w", err)
	}
	return sealed, nil
}

// Unseal opens what Seal encrypted with the same info. ErrCorrupt if it was
// sealed to another key, for another use, or was changed.
func Unseal(k ClientKey, info string, sealed []byte) ([]byte, error) {
	kem, err := hpke.NewDHKEMPrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	secret, err := hpke.Open(kem, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(info), sealed)
	if err != nil {
		return nil, fmt.Errorf("unseal %q: %w", info, dormer.ErrCorrupt)
	}
	return secret, nil
}
