package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"

	"github.com/dormer-project/dormer"
)

// Files of passphrases and identities.
const (
	maxSecretFile = 64 << 10 // bytes
	minPassphrase = 8        // bytes
)

// Passphrase reads one from a file: its first line.
func Passphrase(path string) (string, error) {
	b, err := readSmall(path)
	if err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	line = strings.TrimRight(line, "\r")
	if len(line) < minPassphrase {
		return "", dormer.Invalidf("", "the passphrase in %s has fewer than %d characters", path, minPassphrase)
	}
	return line, nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(b) > maxSecretFile {
		err = fmt.Errorf("%s has more than %d bytes: %w", path, maxSecretFile, dormer.ErrTooLarge)
	}
	return b, err
}

// Recipients are those who can open a backup: whoever knows the passphrase, or
// the holders of the keys ("age1..."); not both.
func Recipients(passphrase string, keys []string) ([]age.Recipient, error) {
	if passphrase != "" {
		if len(keys) > 0 {
			return nil, dormer.Invalidf("", "a backup is encrypted with a passphrase or for recipients, not both")
		}
		r, err := age.NewScryptRecipient(passphrase)
		if err != nil {
			return nil, fmt.Errorf("use the passphrase: %w", err)
		}
		return []age.Recipient{r}, nil
	}
	var all []age.Recipient
	for _, k := range keys {
		r, err := age.ParseX25519Recipient(k)
		if err != nil {
			return nil, dormer.Invalidf("recipient", `must be an age key for encryption, as "age1..."`)
		}
		all = append(all, r)
	}
	return all, nil
}

// PassphraseIdentity opens what was encrypted with a passphrase.
func PassphraseIdentity(passphrase string) (age.Identity, error) {
	i, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("use the passphrase: %w", err)
	}
	return i, nil
}

// ReadIdentities reads the keys of recipients from a file, as age-keygen
// writes it.
func ReadIdentities(path string) ([]age.Identity, error) {
	b, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	all, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil {
		// The library's error may repeat the line.
		return nil, dormer.Invalidf("", `%s does not hold age keys ("AGE-SECRET-KEY-1...")`, path)
	}
	return all, nil
}

// Encrypt writes to w what only the recipients can read. Closing the writer
// ends the encryption and leaves w open.
func Encrypt(w io.Writer, recipients []age.Recipient) (io.WriteCloser, error) {
	e, err := age.Encrypt(w, recipients...)
	if err != nil {
		return nil, fmt.Errorf("encrypt the backup: %w", err)
	}
	return e, nil
}

func decrypt(r io.Reader, identities []age.Identity) (io.Reader, error) {
	if len(identities) == 0 {
		return nil, fmt.Errorf("the backup is encrypted; give --passphrase-file or --identity: %w", dormer.ErrDenied)
	}
	plain, err := age.Decrypt(r, identities...)
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
		return nil, fmt.Errorf("the backup is not encrypted with this passphrase or for this identity: %w", dormer.ErrDenied)
	}
	if err != nil {
		return nil, damaged(err)
	}
	return plain, nil
}
