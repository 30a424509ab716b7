package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

// Accounts manages the users and groups of the embedded directory.
type Accounts struct {
	accounts AccountStore
	groups   GroupStore
	hasher   *Hasher
	now      func() time.Time
	random   io.Reader
}

// NewAccounts returns the service over its stores.
func NewAccounts(accounts AccountStore, groups GroupStore, hasher *Hasher, now func() time.Time, random io.Reader) *Accounts {
	return &Accounts{accounts: accounts, groups: groups, hasher: hasher, now: now, random: random}
}

// NewAccount is a user to be added.
type NewAccount struct {
	Name        string
	DisplayName string
	// Password may be empty: one is generated, which must be changed at the
	// first sign-in.
	Password   string
	MustChange bool
	Expires    *time.Time
}

// checkName returns an error about the name of a user or a group. A backslash
// separates directory and name, an @ will separate name and domain.
func checkName(s string) error {
	switch {
	case s == "":
		return dormer.Invalidf("name", "is missing")
	case !utf8.ValidString(s) || utf8.RuneCountInString(s) > dormer.MaxName:
		return dormer.Invalidf("name", "is longer than %d characters or not valid UTF-8", dormer.MaxName)
	case s != strings.TrimSpace(s):
		return dormer.Invalidf("name", "must not begin or end with a space")
	case strings.ContainsAny(s, `\/@:"<>|*?`) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return dormer.Invalidf("name", `must not contain control characters or any of \ / @ : " < > | * ?`)
	}
	return nil
}

func checkDisplayName(s string) error {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > dormer.MaxName {
		return dormer.Invalidf("display_name", "is longer than %d characters or not valid UTF-8", dormer.MaxName)
	}
	return nil
}

// Create adds a user. generated is the password that was made, if none was
// given; it is not kept.
func (s *Accounts) Create(ctx context.Context, n NewAccount) (a Account, generated string, err error) {
	if err := checkName(n.Name); err != nil {
		return Account{}, "", err
	}
	if err := checkDisplayName(n.DisplayName); err != nil {
		return Account{}, "", err
	}
	if n.Password == "" {
		if generated, err = GeneratePassword(s.random); err != nil {
			return Account{}, "", err
		}
		n.Password, n.MustChange = generated, true
	} else if err := CheckPassword("password", n.Name, n.Password); err != nil {
		return Account{}, "", err
	}
	id, err := dormer.NewID(s.random)
	if err != nil {
		return Account{}, "", err
	}
	hash, err := s.hasher.Hash(ctx, n.Password)
	if err != nil {
		return Account{}, "", err
	}
	a = Account{
		ID: id, Name: n.Name, DisplayName: n.DisplayName, PasswordHash: hash, MustChange: n.MustChange,
		Expires: n.Expires, Created: s.now().UTC().Truncate(time.Microsecond),
	}
	if err := s.accounts.CreateAccount(ctx, a); err != nil {
		return Account{}, "", fmt.Errorf("add the user: %w", called("user", n.Name, err))
	}
	return a, generated, nil
}

// called says whom an error of a store is about that knows no names.
func called(what, who string, err error) error {
	for _, kind := range []error{dormer.ErrNotFound, dormer.ErrExists} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%s %q: %w", what, who, kind)
		}
	}
	return err
}

// All lists the users.
func (s *Accounts) All(ctx context.Context) ([]Account, error) { return s.accounts.Accounts(ctx) }

// Get returns one user.
func (s *Accounts) Get(ctx context.Context, id string) (Account, error) {
	a, err := s.accounts.AccountByID(ctx, id)
	return a, called("user", id, err)
}

// ByName returns the user of that name.
func (s *Accounts) ByName(ctx context.Context, name string) (Account, error) {
	a, err := s.accounts.AccountByName(ctx, name)
	return a, called("user", name, err)
}

// AccountChange changes what is not nil.
type AccountChange struct {
	Name        *string
	DisplayName *string
	Disabled    *bool
	MustChange  *bool
	// Expires: the zero time means never.
	Expires *time.Time
}

// Update changes a user.
func (s *Accounts) Update(ctx context.Context, id string, c AccountChange) (Account, error) {
	var after Account
	err := s.accounts.UpdateAccount(ctx, id, func(a *Account) error {
		if c.Name != nil {
			if err := checkName(*c.Name); err != nil {
				return err
			}
			a.Name = *c.Name
		}
		if c.DisplayName != nil {
			if err := checkDisplayName(*c.DisplayName); err != nil {
				return err
			}
			a.DisplayName = *c.DisplayName
		}
		if c.Disabled != nil {
			a.Disabled = *c.Disabled
		}
		if c.MustChange != nil {
			a.MustChange = *c.MustChange
		}
		if c.Expires != nil {
			a.Expires = nil
			if !c.Expires.IsZero() {
				at := c.Expires.UTC().Truncate(time.Microsecond)
				a.Expires = &at
			}
		}
		after = *a
		return nil
	})
	if c.Name != nil && errors.Is(err, dormer.ErrExists) {
		return Account{}, called("user", *c.Name, err)
	}
	return after, called("user", id, err)
}

// SetPassword gives a user a password, generated when password is empty. It
// must be changed at the next sign-in when it was generated or mustChange says
// so. Sessions are the caller's to end.
func (s *Accounts) SetPassword(ctx context.Context, id, password string, mustChange bool) (a Account, generated string, err error) {
	if a, err = s.Get(ctx, id); err != nil {
		return Account{}, "", err
	}
	if password == "" {
		if generated, err = GeneratePassword(s.random); err != nil {
			return Account{}, "", err
		}
		password, mustChange = generated, true
	} else if err := CheckPassword("password", a.Name, password); err != nil {
		return Account{}, "", err
	}
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return Account{}, "", err
	}
	err = s.accounts.UpdateAccount(ctx, id, func(a *Account) error {
		a.PasswordHash, a.MustChange = hash, mustChange
		return nil
	})
	return a, generated, err
}

// Delete removes a user. Sessions and roles are the caller's to end.
func (s *Accounts) Delete(ctx context.Context, id string) error {
	return called("user", id, s.accounts.DeleteAccount(ctx, id))
}

// Authenticate checks a password. Users who do not exist take as long as those
// who do. ErrUnauthenticated, or *RefusedError once the password was right.
func (s *Accounts) Authenticate(ctx context.Context, name, password string) (Account, error) {
	a, err := s.verify(ctx, name, password)
	if err != nil {
		return Account{}, err
	}
	if a.MustChange {
		return Account{}, &RefusedError{Reason: ReasonMustChange}
	}
	return a, nil
}

// ChangePassword sets a new password for a user who proves the old one.
func (s *Accounts) ChangePassword(ctx context.Context, name, old, replacement string) (Account, error) {
	a, err := s.verify(ctx, name, old)
	if err != nil {
		return Account{}, err
	}
	if replacement == old {
		return Account{}, dormer.Invalidf("new_password", "must differ from the old one")
	}
	if err := CheckPassword("new_password", a.Name, replacement); err != nil {
		return Account{}, err
	}
	hash, err := s.hasher.Hash(ctx, replacement)
	if err != nil {
		return Account{}, err
	}
	verified := a.PasswordHash
	err = s.accounts.UpdateAccount(ctx, a.ID, func(now *Account) error {
		if now.PasswordHash != verified { // changed by somebody else since it was checked
			return dormer.ErrUnauthenticated
		}
		now.PasswordHash, now.MustChange = hash, false
		return nil
	})
	if err != nil {
		return Account{}, fmt.Errorf("change password: %w", err)
	}
	return a, nil
}

// verify checks name, password and whether the account may be used.
func (s *Accounts) verify(ctx context.Context, name, password string) (Account, error) {
	a, err := s.accounts.AccountByName(ctx, name)
	if err != nil && !errors.Is(err, dormer.ErrNotFound) {
		return Account{}, fmt.Errorf("find account: %w", err)
	}
	found := err == nil
	if !found {
		a = Account{}
	}
	right, err := s.hasher.Verify(ctx, a.PasswordHash, password)
	if err != nil {
		return Account{}, err
	}
	if !right || !found {
		return Account{}, fmt.Errorf("wrong name or password: %w", dormer.ErrUnauthenticated)
	}
	return a, s.Usable(a)
}

// Usable returns a *RefusedError when a is disabled or has expired.
func (s *Accounts) Usable(a Account) error {
	switch {
	case a.Disabled:
		return &RefusedError{Reason: ReasonDisabled}
	case a.Expires != nil && !s.now().Before(*a.Expires):
		return &RefusedError{Reason: ReasonExpired}
	}
	return nil
}

// CreateGroup adds a group.
func (s *Accounts) CreateGroup(ctx context.Context, name string) (Group, error) {
	if err := checkName(name); err != nil {
		return Group{}, err
	}
	id, err := dormer.NewID(s.random)
	if err != nil {
		return Group{}, err
	}
	g := Group{ID: id, Name: name}
	if err := s.groups.CreateGroup(ctx, g); err != nil {
		return Group{}, fmt.Errorf("add the group: %w", called("group", name, err))
	}
	return g, nil
}

// Groups lists the groups.
func (s *Accounts) Groups(ctx context.Context) ([]Group, error) { return s.groups.Groups(ctx) }

// Group returns one group.
func (s *Accounts) Group(ctx context.Context, id string) (Group, error) {
	all, err := s.groups.Groups(ctx)
	if err != nil {
		return Group{}, err
	}
	i := slices.IndexFunc(all, func(g Group) bool { return g.ID == id })
	if i < 0 {
		return Group{}, called("group", id, dormer.ErrNotFound)
	}
	return all[i], nil
}

// Members lists the direct members of a group.
func (s *Accounts) Members(ctx context.Context, group string) ([]Member, error) {
	return s.groups.Members(ctx, group)
}

// DeleteGroup removes a group. Its roles are the caller's to end.
func (s *Accounts) DeleteGroup(ctx context.Context, id string) error {
	return called("group", id, s.groups.DeleteGroup(ctx, id))
}

// SetMember adds or removes a member of a group; repeating it changes nothing.
func (s *Accounts) SetMember(ctx context.Context, group string, m Member, present bool) error {
	if present {
		if err := s.checkMember(ctx, m); err != nil {
			return err
		}
	}
	return s.groups.SetMember(ctx, group, m, present)
}

func (s *Accounts) checkMember(ctx context.Context, m Member) error {
	switch m.Kind {
	case dormer.KindUser:
		if _, err := s.Get(ctx, m.ID); err != nil {
			return fmt.Errorf("find the member: %w", err)
		}
	case dormer.KindGroup:
		if _, err := s.Group(ctx, m.ID); err != nil {
			return fmt.Errorf("find the member: %w", err)
		}
	default:
		return m.Kind.Check()
	}
	return nil
}

// GroupsOf returns the groups that a user is in, nested ones too.
func (s *Accounts) GroupsOf(ctx context.Context, id string) ([]Group, error) {
	return s.groups.GroupsOf(ctx, Member{Kind: dormer.KindUser, ID: id})
}
