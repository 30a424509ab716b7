package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/dormer-project/dormer"
)

// maxSecret bounds files of secrets, in bytes.
const maxSecret = 4 << 10

// readBounded reads a file that a setting names.
func readBounded(setting, path string, most int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("setting %s: %w", setting, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("setting %s: %w", setting, err)
	}
	if len(b) > most {
		return nil, fmt.Errorf("setting %s: %s: %w (at most %d bytes)", setting, path, dormer.ErrTooLarge, most)
	}
	return b, nil
}

// checkPrivate refuses a secret's file that others can read.
func checkPrivate(setting, path string) error {
	if err := private(path); err != nil {
		return fmt.Errorf("setting %s: %w", setting, err)
	}
	return nil
}

// private is checkPrivate of a file that a flag names.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder: %w", path, dormer.ErrInvalid)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("others can read or change %s; run: chmod 600 %s: %w", path, path, dormer.ErrInvalid)
	}
	return nil
}

// checkReaders refuses a configuration file that everybody can read and that has
// a database's password in it. Those who run the server may share it as a group.
// There may be no such file.
func (c *Config) checkReaders(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o007 == 0 {
		return nil //nolint:nilerr // who reads the file says what is wrong with it
	}
	if slices.ContainsFunc([]string{c.State.DSN, c.Events.DSN, c.Events.ReportsDSN}, holdsPassword) {
		return fmt.Errorf("others can read %s, which has a database's password in it; give it to the server's group and run: chmod 640 %s: %w",
			path, path, dormer.ErrInvalid)
	}
	return nil
}

// readSecret reads a secret of one line. Its errors never have it in them.
func readSecret(setting, path string) (string, error) {
	if err := checkPrivate(setting, path); err != nil {
		return "", err
	}
	b, err := readBounded(setting, path, maxSecret)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" || strings.ContainsAny(secret, "\r\n\x00") {
		return "", fmt.Errorf("setting %s: %s must hold the secret in one line: %w", setting, path, dormer.ErrInvalid)
	}
	return secret, nil
}

// urlInFile reads the URL of a database, which may hold a password, from the
// first line of a file that a flag names.
func urlInFile(flag, path string) (string, error) {
	if err := private(path); err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", dormer.Invalidf(flag, "%s is empty", path)
	}
	return line, nil
}
