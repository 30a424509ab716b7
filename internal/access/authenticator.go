package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/wire"
)

// PasswordChanger is a Directory whose users may change their own passwords.
type PasswordChanger interface {
	// ChangePassword sets a new password for the user of that name who proves
	// the old one, also when it must be changed. Errors as of
	// Directory.Authenticate, and ErrInvalid for a new one that is not good
	// enough.
	ChangePassword(ctx context.Context, name, old, replacement string) (dormer.Principal, error)
}

// Config is what an Authenticator is made of.
type Config struct {
	// Directories are asked by name; the one named Default is asked for users
	// who name none.
	Directories []Mount
	Default     string
	Operators   OperatorStore
	Sessions    SessionStore
	// OperatorSession and UserSession are how long sessions last.
	OperatorSession, UserSession time.Duration
	Now                          func() time.Time
	Random                       io.Reader
}

// Authenticator signs people in, keeps their sessions and knows the roles of
// operators. It is safe for concurrent use.
type Authenticator struct {
	cfg      Config
	byName   map[string]Mount // folded names
	attempts *attempts
	sessions *sessions
}

// NewAuthenticator returns an authenticator with the sessions that the store holds.
func NewAuthenticator(ctx context.Context, cfg Config) (*Authenticator, error) {
	a := &Authenticator{cfg: cfg, byName: map[string]Mount{}, attempts: newAttempts(cfg.Now)}
	for _, d := range cfg.Directories {
		a.byName[name.Fold(d.Name())] = d
	}
	if _, ok := a.byName[name.Fold(cfg.Default)]; !ok {
		return nil, dormer.Invalidf("default", "names a directory that is not configured")
	}
	var err error
	a.sessions, err = loadSessions(ctx, cfg.Sessions, cfg.Now, cfg.Random)
	return a, err
}

// maxUser bounds what is taken for a user's name with its directory, in bytes.
const maxUser = 8 * dormer.MaxName

// Attempt is one attempt to sign in.
type Attempt struct {
	// User is a name in the default directory, or DIRECTORY\name.
	User     string
	Password string
	// Remote is the address it came from.
	Remote string
}

// directoryOf returns the directory that user names, and the name within it.
func (a *Authenticator) directoryOf(user string) (Directory, string) {
	if prefix, rest, ok := strings.Cut(user, `\`); ok {
		if d, ok := a.byName[name.Fold(prefix)]; ok {
			return d.Directory, rest
		}
	}
	return a.byName[name.Fold(a.cfg.Default)].Directory, user
}

// SignIn checks a name and a password. ErrUnauthenticated when one of them is
// wrong, whichever; *RefusedError when the account may not be used;
// *throttle.Error after too many failures.
func (a *Authenticator) SignIn(ctx context.Context, t Attempt) (dormer.Principal, error) {
	return a.attempt(t, func(d Directory, user string) (dormer.Principal, error) {
		return d.Authenticate(ctx, user, t.Password)
	})
}

// ChangePassword signs in and sets a new password; all sessions that the user
// had end. Errors as of SignIn, ErrInvalid (field new_password), and
// ErrUnsupported when the directory does not let users change passwords here.
func (a *Authenticator) ChangePassword(ctx context.Context, t Attempt, replacement string) (dormer.Principal, error) {
	p, err := a.attempt(t, func(d Directory, user string) (dormer.Principal, error) {
		changer, ok := d.(PasswordChanger)
		if !ok {
			return dormer.Principal{}, fmt.Errorf("change a password of directory %s: %w", d.Name(), dormer.ErrUnsupported)
		}
		return changer.ChangePassword(ctx, user, t.Password, replacement)
	})
	if err != nil {
		return dormer.Principal{}, err
	}
	return p, a.sessions.endOf(ctx, p.ID())
}

func (a *Authenticator) attempt(t Attempt, check func(Directory, string) (dormer.Principal, error)) (dormer.Principal, error) {
	// Names and passwords without end are worth neither folding nor hashing.
	if len(t.User) > maxUser || len(t.Password) > wire.MaxPasswordLength {
		if _, err := a.attempts.begin("", t.Remote); err != nil {
			return dormer.Principal{}, err
		}
		return dormer.Principal{}, fmt.Errorf("sign in: %w", dormer.ErrUnauthenticated)
	}
	d, user := a.directoryOf(t.User)
	refund, err := a.attempts.begin(name.Fold(d.Name()+`\`+user), t.Remote)
	if err != nil {
		return dormer.Principal{}, err
	}
	p, err := check(d, user)
	if !errors.Is(err, dormer.ErrUnauthenticated) { // anything else was no guess
		refund(err == nil || errors.Is(err, dormer.ErrDenied))
	}
	if err != nil {
		return dormer.Principal{}, fmt.Errorf("sign in: %w", err)
	}
	return p, nil
}

// OpenSession makes a session for somebody who has signed in and returns its
// secret, which is not kept. client is that of a user session. Somebody has at
// most MaxSessions at once, of one kind and on one client: the oldest end.
func (a *Authenticator) OpenSession(ctx context.Context, kind SessionKind, user dormer.Principal, client dormer.ClientID) (Session, string, error) {
	length := a.cfg.OperatorSession
	if kind == SessionUser {
		length = a.cfg.UserSession
	}
	now := a.cfg.Now().UTC().Truncate(time.Microsecond)
	return a.sessions.open(ctx, Session{Kind: kind, User: user, Client: client, Created: now, Expires: now.Add(length)})
}

// CheckSession returns the session with that identity and secret, from memory
// alone, else ErrUnauthenticated.
func (a *Authenticator) CheckSession(kind SessionKind, id, secret string) (Session, error) {
	return a.sessions.check(kind, id, secret)
}

// EndSession ends a session; repeating it changes nothing.
func (a *Authenticator) EndSession(ctx context.Context, id string) error {
	return a.sessions.end(ctx, id)
}

// EndSessionsOf ends all sessions of a user.
func (a *Authenticator) EndSessionsOf(ctx context.Context, user dormer.UserID) error {
	return a.sessions.endOf(ctx, user)
}

// EndOperatorSessionsOf ends the sessions that a user has as an operator. Those
// on clients are left: there the directory's reason is told.
func (a *Authenticator) EndOperatorSessionsOf(ctx context.Context, user dormer.UserID) error {
	return a.sessions.endKindOf(ctx, SessionOperator, user)
}

// Follow forgets operators' sessions that were ended in the store alone, by a
// command beside the server. It is called now and then.
func (a *Authenticator) Follow(ctx context.Context) error {
	return a.sessions.follow(ctx, SessionOperator)
}

// Sweep forgets sessions that have expired, and those of users that were ended
// in the store alone. It is called now and then.
func (a *Authenticator) Sweep(ctx context.Context) error { return a.sessions.sweep(ctx) }

// GroupsOf returns the groups that user is in, nested ones too, as the user's
// directory says now. ErrNotFound when the user is gone, *RefusedError when
// disabled or expired.
func (a *Authenticator) GroupsOf(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error) {
	d, ok := a.byName[name.Fold(user.Directory)]
	if !ok {
		return nil, fmt.Errorf("directory %s is not configured: %w", user.Directory, dormer.ErrNotFound)
	}
	return d.Groups(ctx, user)
}

// Resolve finds the principal of that kind and exact name; the name may be
// DIRECTORY\name. ErrNotFound when there is none.
func (a *Authenticator) Resolve(ctx context.Context, kind dormer.PrincipalKind, who string) (dormer.Principal, error) {
	d, who := a.directoryOf(who)
	p, err := d.Resolve(ctx, kind, who)
	if errors.Is(err, dormer.ErrNotFound) {
		return dormer.Principal{}, fmt.Errorf("%s %.200q of directory %s: %w", kind, who, d.Name(), dormer.ErrNotFound)
	}
	return p, err
}

// Find lists principals of all directories whose names begin with prefix, at
// most limit.
func (a *Authenticator) Find(ctx context.Context, prefix string, limit int) ([]Entry, error) {
	var found []Entry
	for _, d := range a.cfg.Directories {
		if len(found) >= limit {
			break
		}
		some, err := d.Find(ctx, prefix, limit-len(found))
		if err != nil {
			return nil, fmt.Errorf("search directory %s: %w", d.Name(), err)
		}
		found = append(found, some...)
	}
	return found, nil
}

// Token returns what an operator's session is called in requests.
func Token(s Session, secret string) string { return s.ID + "." + secret }

// Operator returns the session that a token of the REST API stands for and its
// user's role now. ErrUnauthenticated when there is no such session or its
// user may not be used any more.
func (a *Authenticator) Operator(ctx context.Context, token string) (Session, dormer.Role, error) {
	id, secret, _ := strings.Cut(token, ".")
	s, err := a.sessions.check(SessionOperator, id, secret)
	if err != nil {
		return Session{}, dormer.RoleNone, err
	}
	role, err := a.Role(ctx, s.User)
	if errors.Is(err, dormer.ErrNotFound) || errors.Is(err, dormer.ErrDenied) {
		return Session{}, dormer.RoleNone, fmt.Errorf("user of the session may not be used any more: %w", dormer.ErrUnauthenticated)
	}
	return s, role, err
}
