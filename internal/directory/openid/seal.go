package openid

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// sealVersion is the first byte of a stored refresh token.
const sealVersion = 1

// safe encrypts refresh tokens for the store: AES-256-GCM, bound to the account
// they are of. A database that leaks lets nobody act for its users.
type safe struct {
	aead   cipher.AEAD
	random io.Reader
}

func newSafe(key []byte, random io.Reader) (*safe, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key for refresh tokens: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("key for refresh tokens: %w", err)
	}
	return &safe{aead: aead, random: random}, nil
}

func bound(directory, key string) []byte { return []byte(directory + "\x00" + key) }

// seal returns version, nonce and ciphertext; nil for no token.
func (s *safe) seal(directory, key, token string) ([]byte, error) {
	if token == "" {
		return nil, nil
	}
	out := make([]byte, 1+s.aead.NonceSize(), 1+s.aead.NonceSize()+len(token)+s.aead.Overhead())
	out[0] = sealVersion
	if _, err := io.ReadFull(s.random, out[1:]); err != nil {
		return nil, fmt.Errorf("encrypt a refresh token: %w", err)
	}
	return s.aead.Seal(out, out[1:], []byte(token), bound(directory, key)), nil
}

var errSealed = errors.New("the refresh token is not encrypted under this server's key")

func (s *safe) open(directory, key string, sealed []byte) (string, error) {
	n := 1 + s.aead.NonceSize()
	if len(sealed) < n || sealed[0] != sealVersion {
		return "", errSealed
	}
	token, err := s.aead.Open(nil, sealed[1:n], sealed[n:], bound(directory, key))
	if err != nil {
		return "", errSealed
	}
	return string(token), nil
}
