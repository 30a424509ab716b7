package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// readSecret asks for a password on the terminal without showing it, or reads
// one line of standard input when that is not a terminal or fromStdin is set.
// Passwords never come from arguments or variables.
func (a *app) readSecret(prompt string, fromStdin bool) (string, error) {
	f, isFile := a.In.(*os.File)
	if isFile && !fromStdin && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(a.Err, prompt+": ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.Err)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		return string(b), nil
	}
	line, err := a.readLine()
	if err != nil {
		return "", fmt.Errorf("read password from standard input: %w", err)
	}
	if line == "" {
		return "", dormer.Invalidf("password", "is empty; give it as one line of standard input or run the command on a terminal")
	}
	return line, nil
}

// readLine reads one line without reading past it, so that two secrets can
// follow each other.
func (a *app) readLine() (string, error) {
	r, ok := a.In.(io.ByteReader)
	if !ok {
		r = bufio.NewReaderSize(oneByteReader{a.In}, 16)
	}
	var b strings.Builder
	for b.Len() <= wire.MaxPasswordLength {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return strings.TrimSuffix(b.String(), "\r"), nil
		}
		b.WriteByte(c)
	}
	if b.Len() > wire.MaxPasswordLength {
		return "", dormer.Invalidf("password", "is longer than %d bytes", wire.MaxPasswordLength)
	}
	return b.String(), nil
}

// oneByteReader keeps a buffered reader from taking more than it hands out.
type oneByteReader struct{ r io.Reader }

func (o oneByteReader) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

// confirm asks for the name of what is destroyed, unless yes was given.
func (a *app) confirm(what, name string, yes bool) error {
	if yes {
		return nil
	}
	f, isFile := a.In.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return usageError{fmt.Errorf("%s would be removed; repeat with --yes", what)}
	}
	fmt.Fprintf(a.Err, "%s will be removed. Type its name to go on: ", what)
	line, err := a.readLine()
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if line != name {
		return errors.New("the name does not fit; nothing was removed")
	}
	return nil
}
