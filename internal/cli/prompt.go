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

// maxSecret is the longest secret that is read, in bytes: a password, or a join
// token with a long URL in it.
const maxSecret = 4096

// readPassword asks for a password; see readSecret.
func (a *app) readPassword(prompt string, fromStdin bool) (string, error) {
	p, err := a.readSecret("password", prompt, fromStdin)
	if len(p) > wire.MaxPasswordLength {
		return "", dormer.Invalidf("password", "is longer than %d bytes", wire.MaxPasswordLength)
	}
	return p, err
}

// passwordTries is how often a new password is asked for until it is the same
// twice.
const passwordTries = 3

// readNewPassword asks for a password that is to be set: on a terminal twice,
// since nobody sees what is typed; from standard input it is one line.
func (a *app) readNewPassword(prompt string, fromStdin bool) (string, error) {
	if _, typed := a.terminal(); fromStdin || !typed {
		return a.readPassword(prompt, fromStdin)
	}
	for try := 1; ; try++ {
		first, err := a.readPassword(prompt, false)
		if err != nil {
			return "", err
		}
		again, err := a.readPassword("Once more", false)
		switch {
		case err != nil:
			return "", err
		case first == again:
			return first, nil
		case try == passwordTries:
			return "", dormer.Invalidf("password", "was not the same twice; nothing was changed")
		}
		a.note("These were not the same; try again.")
	}
}

// terminal returns standard input where it is a terminal.
func (a *app) terminal() (*os.File, bool) {
	f, isFile := a.In.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return nil, false
	}
	return f, true
}

// readSecret asks for a secret on the terminal without showing it, or reads
// one line of standard input when that is not a terminal or fromStdin is set.
// Secrets never come from arguments or variables.
func (a *app) readSecret(what, prompt string, fromStdin bool) (string, error) {
	if f, typed := a.terminal(); typed && !fromStdin {
		fmt.Fprint(a.Err, prompt+": ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.Err)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", what, err)
		}
		return string(b), nil
	}
	line, err := a.readLine()
	if err != nil {
		return "", fmt.Errorf("read %s from standard input: %w", what, err)
	}
	if line == "" {
		return "", dormer.Invalidf(what, "is empty; give it as one line of standard input or run the command on a terminal")
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
	for b.Len() <= maxSecret {
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
	if b.Len() > maxSecret {
		return "", fmt.Errorf("the line is longer than %d bytes: %w", maxSecret, dormer.ErrTooLarge)
	}
	return b.String(), nil
}

// oneByteReader keeps a buffered reader from taking more than it hands out.
type oneByteReader struct{ r io.Reader }

func (o oneByteReader) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

// confirm asks for the name of what is to be destroyed, unless yes was given.
// done says what becomes of it, as "removed".
func (a *app) confirm(what, done, name string, yes bool) error {
	if yes {
		return nil
	}
	if _, typed := a.terminal(); !typed {
		return usageError{fmt.Errorf("%s would be %s; repeat with --yes", what, done)}
	}
	fmt.Fprintf(a.Err, "%s will be %s. Type its name to go on: ", what, done)
	line, err := a.readLine()
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if line != name {
		return fmt.Errorf("the name does not fit; nothing was %s", done)
	}
	return nil
}
