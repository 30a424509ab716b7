package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/directory"
	"github.com/dormer-project/dormer/internal/durable"
)

// firstAdmin is the name of the first operator.
const firstAdmin = "admin"

// firstOperator makes the first operator when there is none. Its one-time
// password goes into a file, and nowhere else. A start that was cut short is
// repeated by the next.
type firstOperator struct {
	path      string // of the file
	accounts  *access.Accounts
	operators access.OperatorStore
	log       audit.Log
	now       func() time.Time
	random    io.Reader
}

// ensure reports whether it made the operator.
func (f *firstOperator) ensure(ctx context.Context) (made bool, err error) {
	operators, err := f.operators.Operators(ctx)
	if err != nil {
		return false, fmt.Errorf("read operators: %w", err)
	}
	if len(operators) > 0 {
		return false, f.tidy(ctx)
	}
	password, err := access.GeneratePassword(f.random)
	if err != nil {
		return false, err
	}
	if err := durable.WriteFile(f.path, []byte(password+"\n")); err != nil {
		return false, err
	}
	account, _, err := f.accounts.Create(ctx, access.NewAccount{Name: firstAdmin, Password: password, MustChange: true})
	if errors.Is(err, dormer.ErrExists) {
		if account, err = f.accounts.ByName(ctx, firstAdmin); err == nil {
			_, _, err = f.accounts.SetPassword(ctx, account.ID, password, true)
		}
	}
	if err != nil {
		return false, fmt.Errorf("make the first operator: %w", err)
	}
	p := dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: account.ID, Name: account.Name}
	if err := f.operators.SetOperator(ctx, access.Operator{Principal: p, Role: dormer.RoleFull}); err != nil {
		return false, fmt.Errorf("make the first operator: %w", err)
	}
	return true, f.log.Append(ctx, audit.Record{
		Time: f.now().UTC().Truncate(time.Microsecond), Who: "SYSTEM", Action: "operator.set",
		Object: account.Name + " (" + string(p.ID()) + ")", Detail: "first operator, " + string(dormer.RoleFull),
	})
}

// tidy removes the file once the password in it is not the operator's any more.
func (f *firstOperator) tidy(ctx context.Context) error {
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the first operator's password: %w", err)
	}
	_, err = f.accounts.Authenticate(ctx, firstAdmin, strings.TrimSpace(string(b)))
	if refused, ok := errors.AsType[*access.RefusedError](err); ok && refused.Reason == access.ReasonMustChange {
		return nil
	}
	if err != nil && !errors.Is(err, dormer.ErrUnauthenticated) && !errors.Is(err, dormer.ErrDenied) {
		return err
	}
	return f.remove()
}

func (f *firstOperator) remove() error {
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the first operator's password: %w", err)
	}
	return nil
}

// embedded is the embedded directory; it removes the file as soon as the first
// operator has changed the password.
type embedded struct {
	*directory.Embedded
	first *firstOperator
}

// ChangePassword changes it and removes the file.
func (e embedded) ChangePassword(ctx context.Context, user, old, replacement string) (dormer.Principal, error) {
	p, err := e.Embedded.ChangePassword(ctx, user, old, replacement)
	if err == nil && p.Name == firstAdmin {
		err = e.first.remove()
	}
	return p, err
}
