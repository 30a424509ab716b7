package dormer_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dormer-project/dormer"
)

func TestNewID(t *testing.T) {
	a, err := dormer.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := dormer.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a == b || !dormer.ValidID(a) || !dormer.ValidID(b) {
		t.Errorf("NewID made %q and %q", a, b)
	}
	if _, err := dormer.NewID(bytes.NewReader(nil)); err == nil {
		t.Error("NewID without randomness made an identity")
	}
}

func TestValidID(t *testing.T) {
	for _, s := range []string{"", "x", "../../../../../../etc/passwd", strings.Repeat("a", 27), strings.Repeat("A", 26), strings.Repeat("1", 26), strings.Repeat("/", 26)} {
		if dormer.ValidID(s) {
			t.Errorf("ValidID(%q) is true", s)
		}
	}
}

func TestCheckImageName(t *testing.T) {
	for _, name := range []string{"office", "Office-2027.1", "büro", "win11_pro"} {
		if err := dormer.CheckImageName(name); err != nil {
			t.Errorf("CheckImageName(%q) = %v", name, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", ".hidden", "-flag", "with space", "tab\t", "nul\x00", `a"b`, "a<b", "a>b", "a|b", `a\b`, "a/b", "a:b", "a*b", "a?b",
		"non\u00a0breaking", "bell\a", "\xff", strings.Repeat("x", 201),
	} {
		if err := dormer.CheckImageName(name); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("CheckImageName(%q) = %v, want ErrInvalid", name, err)
		}
	}
}

func TestRoleAllows(t *testing.T) {
	order := []dormer.Role{dormer.RoleNone, dormer.RoleReadOnly, dormer.RoleFull}
	for i, have := range order {
		for j, need := range order {
			if got := have.Allows(need); got != (i >= j) {
				t.Errorf("%q.Allows(%q) = %v", have, need, got)
			}
		}
	}
	if dormer.Role("root").Allows(dormer.RoleReadOnly) {
		t.Error("an unknown role allows something")
	}
}

func TestErrorKindsSurviveWrapping(t *testing.T) {
	err := fmt.Errorf("commit: %w", dormer.Invalidf("spec.general.name", "is missing"))
	var invalid *dormer.InvalidError
	if !errors.Is(err, dormer.ErrInvalid) || !errors.As(err, &invalid) || invalid.Fields[0].Path != "spec.general.name" {
		t.Errorf("lost the field in %v", err)
	}
	if err := fmt.Errorf("commit: %w", &dormer.ConflictError{What: "workspace office", By: "bob"}); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("%v is no ErrConflict", err)
	}
}

func TestPlain(t *testing.T) {
	_, missing := os.ReadFile(filepath.Join(t.TempDir(), "missing"))
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("the workspace is locked: %w", dormer.ErrDenied), "the workspace is locked"},
		{errors.Join(fmt.Errorf("a: %w", dormer.ErrConflict), fmt.Errorf("b: %w", dormer.ErrUnsupported)), "a\nb"},
		{fmt.Errorf("workspace office: %w", dormer.ErrNotFound), "workspace office: not found"},
		{dormer.ErrConflict, "conflict"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "open x: permission denied"},
		{missing, missing.Error()},
	} {
		if got := dormer.Plain(test.err); got != test.want {
			t.Errorf("Plain(%q) is %q, want %q", test.err, got, test.want)
		}
	}
}
