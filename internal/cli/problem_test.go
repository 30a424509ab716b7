package cli

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

func TestTidy(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"conflict", "conflict"},
		{"the last operator stays: conflict", "the last operator stays"},
		{"a: unavailable\nb: conflict", "a\nb"},
		{"ask https://example.com: refused (unavailable)", "ask https://example.com: refused"},
		{"file: permission denied: permission denied", "file: permission denied"},
		{"image x: not found; try", "image x: not found; try"},
	} {
		if got := tidy(test.text); got != test.want {
			t.Errorf("tidy(%q) is %q, want %q", test.text, got, test.want)
		}
	}
}

func TestKindsAndFields(t *testing.T) {
	a, b := dormer.FieldError{Path: "a", Message: "is wrong"}, dormer.FieldError{Path: "b", Message: "is wrong"}
	both := errors.Join(
		fmt.Errorf("one: %w", &dormer.InvalidError{Fields: []dormer.FieldError{a}}),
		&dormer.InvalidError{Fields: []dormer.FieldError{b}})
	if diff := cmp.Diff([]dormer.FieldError{a, b}, fieldsOf(both)); diff != "" {
		t.Error(diff)
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{both, "invalid"},
		{usageError{errors.New("x")}, "usage"},
		{errWrongPassword, "unauthenticated"},
		{fmt.Errorf("x: %w", dormer.ErrUnsupported), "unsupported"},
		{errors.New("x"), "other"},
	} {
		if got := kindOf(test.err); got != test.want {
			t.Errorf("kind of %v is %s, want %s", test.err, got, test.want)
		}
	}
}

func TestLeft(t *testing.T) {
	for _, test := range []struct {
		left time.Duration
		want string
	}{
		{0, "0s"},
		{12*time.Second + 400*time.Millisecond, "12s"},
		{89 * time.Second, "1m"},
		{119 * time.Minute, "119m"},
		{7*time.Hour + 59*time.Minute, "8h"},
		{71 * time.Hour, "71h"},
		{72*time.Hour - time.Minute, "3d"},
		{100 * time.Hour, "4d"},
		{7*24*time.Hour - time.Second, "7d"},
	} {
		if got := left(test.left); got != test.want {
			t.Errorf("%s left shows as %s, want %s", test.left, got, test.want)
		}
	}
}
