package problem_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/throttle"
	"github.com/dormer-project/dormer/internal/wire"
)

// TestThereAndBack: every kind has a status of its own choosing and is the same
// kind again at the client.
func TestThereAndBack(t *testing.T) {
	at := time.Date(2026, 11, 22, 1, 2, 3, 4000, time.UTC)
	ambiguous := &access.AmbiguousError{Candidates: []access.Entry{
		{Principal: dormer.Principal{Directory: "CORP", Kind: dormer.KindUser, Key: "S-1-5-21-1", Name: "bob"}, DisplayName: "Bob", Detail: "CN=Bob,DC=corp"},
		{Principal: dormer.Principal{Directory: "local", Kind: dormer.KindUser, Key: "x", Name: "bob"}},
	}}
	for _, c := range []struct {
		err    error
		status int
		is     error
		kind   string
	}{
		{dormer.Invalidf("a.b", "is wrong"), 400, dormer.ErrInvalid, "invalid"},
		{dormer.ErrUnauthenticated, 401, dormer.ErrUnauthenticated, "unauthenticated"},
		{dormer.ErrDenied, 403, dormer.ErrDenied, "denied"},
		{&access.RefusedError{Reason: access.ReasonDisabled}, 403, dormer.ErrDenied, "denied"},
		{&access.RefusedError{Reason: access.ReasonGuarded, Wait: 19 * time.Minute}, 403, dormer.ErrDenied, "denied"},
		{problem.ErrNoOperator, 403, dormer.ErrDenied, problem.KindNoOperator},
		{&access.RefusedError{Reason: access.ReasonMustChange}, 403, dormer.ErrDenied, problem.KindMustChange},
		{ambiguous, 400, dormer.ErrInvalid, problem.KindAmbiguous},
		{&access.PendingError{Wait: 1500 * time.Millisecond}, 503, dormer.ErrUnavailable, problem.KindPending},
		{&throttle.Error{After: 1500 * time.Millisecond}, 429, dormer.ErrUnavailable, problem.KindRateLimited},
		{dormer.ErrNotFound, 404, dormer.ErrNotFound, "not-found"},
		{problem.ErrMethod, 405, dormer.ErrUnsupported, problem.KindMethod},
		{dormer.ErrExists, 409, dormer.ErrExists, "exists"},
		{dormer.ErrConflict, 409, dormer.ErrConflict, "conflict"},
		{&dormer.ConflictError{What: "workspace x", By: "alice", At: at, Current: "tag"}, 412, dormer.ErrConflict, "conflict"},
		{problem.ErrPreconditionRequired, 428, dormer.ErrInvalid, problem.KindPreconditionRequired},
		{dormer.ErrTooLarge, 413, dormer.ErrTooLarge, "too-large"},
		{&http.MaxBytesError{Limit: 7}, 413, dormer.ErrTooLarge, "too-large"},
		{dormer.ErrFull, 507, dormer.ErrFull, "full"},
		{dormer.ErrUnavailable, 503, dormer.ErrUnavailable, "unavailable"},
		{context.DeadlineExceeded, 503, dormer.ErrUnavailable, "unavailable"},
		{dormer.ErrCorrupt, 422, dormer.ErrCorrupt, "corrupt"},
		{dormer.ErrUnsupported, 501, dormer.ErrUnsupported, "unsupported"},
		{dormer.ErrFenced, 503, dormer.ErrFenced, "fenced"},
		{errors.New("insides"), 500, dormer.ErrUnavailable, problem.KindInternal},
	} {
		w := httptest.NewRecorder()
		problem.Write(w, fmt.Errorf("do something: %w", c.err))
		resp := w.Result()
		back := problem.FromResponse(resp)
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		got, ok := errors.AsType[*problem.Error](back)
		if !ok || resp.StatusCode != c.status || !errors.Is(back, c.is) || got.Kind != c.kind || got.ProblemKind() != c.kind {
			t.Errorf("%v: status %d, back %#v", c.err, resp.StatusCode, back)
		}
		if c.status == 503 || c.status == 429 {
			if resp.Header.Get("Retry-After") == "" || got.RetryAfter() < time.Second {
				t.Errorf("%v: no Retry-After", c.err)
			}
		}
		if refused, ok := errors.AsType[*access.RefusedError](c.err); ok && got.RetryAfter() != refused.Wait {
			t.Errorf("%v: wait %s", c.err, got.RetryAfter())
		}
		if c.kind == "conflict" && c.status == 412 {
			conflict, ok := errors.AsType[*dormer.ConflictError](back)
			if diff := cmp.Diff(&dormer.ConflictError{What: "it", By: "alice", At: at, Current: "tag"}, conflict); !ok || diff != "" {
				t.Errorf("conflict:\n%s", diff)
			}
		}
		if c.kind == problem.KindAmbiguous {
			found, ok := errors.AsType[*access.AmbiguousError](back)
			if diff := cmp.Diff(ambiguous, found); !ok || diff != "" {
				t.Errorf("ambiguous:\n%s", diff)
			}
		}
		if c.kind == "invalid" {
			invalid, ok := errors.AsType[*dormer.InvalidError](back)
			if !ok || invalid.Fields[0].Path != "a.b" {
				t.Errorf("invalid: %#v", back)
			}
		}
	}
}

// TestInsidesStayInside: texts of faults, and what the system says of files, do
// not reach the caller.
func TestInsidesStayInside(t *testing.T) {
	for _, err := range []error{
		errors.New("select secret from keys"),
		fmt.Errorf("dial database-password@host: %w", dormer.ErrUnavailable),
		fmt.Errorf("no account hunter2: %w", dormer.ErrUnauthenticated),
		fmt.Errorf("%w: %w", dormer.ErrNotFound, &fs.PathError{Op: "open", Path: "/var/lib/dormer/secret", Err: fs.ErrNotExist}),
	} {
		p := problem.Of(err)
		for _, word := range []string{"secret", "password", "hunter2"} {
			if strings.Contains(p.Detail, word) || strings.Contains(p.Title, word) {
				t.Errorf("%v became %+v", err, p)
			}
		}
	}
}

// TestDeniedReason: of a refusal that has a reason the kind is not repeated.
func TestDeniedReason(t *testing.T) {
	p := problem.Of(fmt.Errorf("this needs the role full: %w", dormer.ErrDenied))
	if p.Detail != "this needs the role full" || p.Status != 403 || p.Kind != "denied" {
		t.Errorf("the document is %+v", p)
	}
}

// awayError is of something that does not answer, and says why for the log.
type awayError struct{}

func (awayError) Error() string        { return "directory corp: secret.example.test refused" }
func (awayError) Is(target error) bool { return target == dormer.ErrUnavailable }
func (awayError) Away() string         { return "directory corp" }

// TestAway: who asks is told what does not answer, and not why.
func TestAway(t *testing.T) {
	p := problem.Of(fmt.Errorf("sign in: %w", awayError{}))
	if p.Detail != "directory corp does not answer now; try again later" || p.Status != 503 || p.Kind != "unavailable" {
		t.Errorf("the document is %+v", p)
	}
}

// TestAbsence: of what is not available people are told what it is and what to
// do, of what is for the log nothing.
func TestAbsence(t *testing.T) {
	for _, c := range []struct {
		err    error
		detail string
	}{
		{dormer.Unavailablef("%d exports are being written; repeat it later", 4), "4 exports are being written; repeat it later"},
		{dormer.ErrUnavailable, "something that is needed for this does not answer now; try again later, and look at the server's health when it stays so"},
		{context.DeadlineExceeded, "it took longer than it may; ask for less, or try again later"},
		{fmt.Errorf("%w: %w", awayError{}, context.DeadlineExceeded), "directory corp does not answer now; try again later"},
		{dormer.ErrFenced, ""}, // its title says what to do
	} {
		p := problem.Of(fmt.Errorf("ask secret.example.test: %w", c.err))
		if p.Detail != c.detail || p.Status != http.StatusServiceUnavailable || p.RetryAfter == 0 {
			t.Errorf("%v became %+v", c.err, p)
		}
	}
}

// TestTooLarge: a body that is too large is refused in the same words
// everywhere, with how large it may be.
func TestTooLarge(t *testing.T) {
	p := problem.Of(fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 1024}))
	if p.Title != "Too large" || p.Detail != "at most 1024 bytes are taken here" || p.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("the document is %+v", p)
	}
}

// TestForeignAnswers: a proxy's answer is judged by its status.
func TestForeignAnswers(t *testing.T) {
	for status, want := range map[int]error{
		401: dormer.ErrUnauthenticated, 404: dormer.ErrNotFound, 429: dormer.ErrUnavailable, 502: dormer.ErrUnavailable, 504: dormer.ErrUnavailable, 302: dormer.ErrUnsupported,
	} {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		resp := w.Result()
		if err := problem.FromResponse(resp); !errors.Is(err, want) {
			t.Errorf("status %d: %v", status, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", wire.ProblemType)
	w.WriteHeader(404)
	_, _ = w.WriteString("{broken")
	resp := w.Result()
	defer resp.Body.Close()
	if err := problem.FromResponse(resp); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a broken document: %v", err)
	}
}

// TestHandler: faults are logged, refusals are not; an answer that has begun is
// cut off.
func TestHandler(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	serve := func(h func(http.ResponseWriter, *http.Request) error) (w *httptest.ResponseRecorder, cut bool) {
		defer func() {
			if v := recover(); v != nil {
				cut = v == http.ErrAbortHandler //nolint:errorlint // what net/http compares with
			}
		}()
		w = httptest.NewRecorder()
		problem.Handler(logger, h).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		return w, false
	}
	if w, _ := serve(func(http.ResponseWriter, *http.Request) error { return dormer.ErrNotFound }); w.Code != 404 || log.Len() != 0 {
		t.Errorf("refusal: %d, log %q", w.Code, log.String())
	}
	if w, _ := serve(func(http.ResponseWriter, *http.Request) error { return errors.New("insides") }); w.Code != 500 || !strings.Contains(log.String(), "insides") {
		t.Errorf("fault: %d, log %q", w.Code, log.String())
	}
	if _, cut := serve(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(200)
		return dormer.ErrCorrupt
	}); !cut {
		t.Error("half an answer was not cut off")
	}
}
