package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// explain adds to an error what to do next, where that is known.
func explain(err error) string {
	text := tidy(dormer.Plain(err))
	_, proved := errors.AsType[proofError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, errNoServer), errors.Is(err, errNoAgent), errors.Is(err, errWrongPassword):
		return text
	case proved:
		return strings.TrimSuffix(strings.TrimSuffix(text, ": "+dormer.ErrUnauthenticated.Error()), ": "+dormer.ErrDenied.Error())
	case errors.Is(err, dormer.ErrUnauthenticated):
		return text + "\nSign in with 'dormer login' (administrators) or 'dormer sign-in' (users of this computer)."
	case errors.Is(err, dormer.ErrFull):
		return text + "\nMake room and repeat the command; it goes on where it stopped."
	default:
		return text
	}
}

// tidy takes from a message what the kinds of its errors add and what says
// nothing to people: the kind at the end of a line that says more, and a kind
// that is named twice.
func tidy(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		for _, k := range exitCodes {
			line = strings.ReplaceAll(line, k.kind.Error()+": "+k.kind.Error(), k.kind.Error())
		}
		for _, k := range []error{dormer.ErrConflict, dormer.ErrUnavailable, dormer.ErrInvalid} {
			line = strings.TrimSuffix(line, ": "+k.Error())
			line = strings.TrimSuffix(line, " ("+k.Error()+")")
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}

// jsonError is an error as --json tells it: one line on standard error, the last
// one. Its form is part of the command line's contract (docs/commands.md).
type jsonError struct {
	Error  string              `json:"error"`
	Kind   string              `json:"kind"`
	Fields []dormer.FieldError `json:"fields,omitempty"`
	// Candidates are those whom an ambiguous name may mean.
	Candidates []access.Entry `json:"candidates,omitempty"`
}

// describe writes an error to standard error.
func (a *app) describe(err error) {
	if !a.json {
		fmt.Fprintln(a.Err, "dormer: "+explain(err))
		return
	}
	e := json.NewEncoder(a.Err)
	e.SetEscapeHTML(false)
	// Nobody is left to be told that standard error is closed.
	_ = e.Encode(jsonError{Error: explain(err), Kind: kindOf(err), Fields: fieldsOf(err), Candidates: candidatesOf(err)})
}

// kindOf names what kind of error it is.
func kindOf(err error) string {
	if _, ok := errors.AsType[usageError](err); ok {
		return "usage"
	}
	// The server's own word for it is finer.
	if named, ok := errors.AsType[interface {
		error
		ProblemKind() string
	}](err); ok && named.ProblemKind() != "" {
		return named.ProblemKind()
	}
	for _, e := range exitCodes {
		if errors.Is(err, e.kind) {
			return e.name
		}
	}
	return "other"
}

// candidatesOf returns whom an ambiguous name may mean.
func candidatesOf(err error) []access.Entry {
	if ambiguous, ok := errors.AsType[*access.AmbiguousError](err); ok {
		return ambiguous.Candidates
	}
	return nil
}

// fieldsOf collects the wrong fields of all errors that err is made of.
func fieldsOf(err error) []dormer.FieldError {
	switch e := err.(type) { //nolint:errorlint // this walks the tree itself
	case *dormer.InvalidError:
		return e.Fields
	case interface{ Unwrap() error }:
		return fieldsOf(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []dormer.FieldError
		for _, inner := range e.Unwrap() {
			all = append(all, fieldsOf(inner)...)
		}
		return all
	default:
		return nil
	}
}

// flagError puts what is wrong with an option into words.
func flagError(err error) error {
	value, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	expected := value.GetFlag().Value.Type()
	switch expected {
	case "int", "int64":
		expected = "a whole number"
	case "intSlice":
		expected = "whole numbers, as 502,503"
	case "uint16":
		expected = "a whole number from 0 to 65535"
	case "duration":
		expected = "a time such as 90s or 10m"
	case "bool":
		expected = "true or false"
	}
	return fmt.Errorf("invalid argument %q for --%s: expected %s", value.GetValue(), value.GetFlag().Name, expected)
}
