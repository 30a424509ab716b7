package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire"
)

const (
	contentType = wire.ProblemType
	// maxDocument is how many bytes of a problem document are read.
	maxDocument = 1 << 20
)

// Error is a problem that a server answered with. It matches the error kind
// that the server had (errors.Is), and unwraps to the *dormer.InvalidError,
// *dormer.ConflictError or *access.AmbiguousError that it carries.
type Error struct {
	wire.Problem
	cause error
}

func (e *Error) Error() string {
	if e.Kind == KindInternal && e.Request != "" {
		return e.Detail + ": " + e.Request
	}
	if e.Detail != "" {
		return e.Detail
	}
	return e.Title
}

// Unwrap returns the error that the document stands for.
func (e *Error) Unwrap() error { return e.cause }

// RetryAfter is how long the server asked to wait, 0 if it did not say.
func (e *Error) RetryAfter() time.Duration { return time.Duration(e.Problem.RetryAfter) * time.Second }

// ProblemKind is the kind of the document.
func (e *Error) ProblemKind() string { return e.Kind }

// FromResponse returns the error of an answer whose status is not that of
// success. It reads the body and does not close it. An answer that carries no
// problem document (a proxy's) is judged by its status.
func FromResponse(resp *http.Response) error {
	p := wire.Problem{Status: resp.StatusCode}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media == contentType {
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if err := json.Unmarshal(b, &p); err != nil {
			p = wire.Problem{}
		}
		p.Status = resp.StatusCode
	}
	if p.Title == "" {
		p.Title = fmt.Sprintf("the server answered %s", resp.Status)
	}
	return &Error{Problem: p, cause: causeOf(p)}
}

// causeOf is the way back from Of.
func causeOf(p wire.Problem) error {
	if p.Kind == KindAmbiguous {
		ambiguous := &access.AmbiguousError{}
		for _, c := range p.Candidates {
			ambiguous.Candidates = append(ambiguous.Candidates, access.Entry(c))
		}
		return ambiguous
	}
	if s, ok := special[p.Kind]; ok {
		return s.is
	}
	for _, k := range kinds {
		if k.name != p.Kind && (p.Kind != "" || k.status != p.Status) {
			continue
		}
		switch {
		case errors.Is(k.err, dormer.ErrInvalid) && len(p.Fields) > 0:
			return &dormer.InvalidError{Fields: p.Fields}
		case errors.Is(k.err, dormer.ErrConflict) && p.Status == http.StatusPreconditionFailed:
			at, _ := time.Parse(time.RFC3339Nano, p.At) // absent or foreign: zero
			return &dormer.ConflictError{What: "it", By: p.By, At: at, Current: p.Current}
		}
		return k.err
	}
	if p.Status >= http.StatusInternalServerError || p.Status == http.StatusTooManyRequests {
		return dormer.ErrUnavailable
	}
	return dormer.ErrUnsupported
}
