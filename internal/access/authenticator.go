package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
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
	// Negotiator checks Kerberos tickets; nil: none are taken. Service is the
	// principal that they are for, without its realm, as people are told it;
	// empty: HTTP and the host of the server's address.
	Negotiator Negotiator
	Service    string
	// Examined is what Test examines, in this order: directories, what checks
	// tickets, providers.
	Examined []Examined
	// Providers sign people in by OpenID Connect.
	Providers []Provider
	// Once remembers what counts once. Tickets, providers and codes need it.
	Once      OnceStore
	Operators OperatorStore
	Sessions  SessionStore
	// Tokens keeps API tokens; nil: there are none.
	Tokens APITokenStore
	// CodeKey signs one-time codes: 32 bytes, the same on all replicas of an
	// instance. Without it none are made.
	CodeKey []byte
	// OperatorSession and UserSession are how long sessions last.
	OperatorSession, UserSession time.Duration
	Now                          func() time.Time
	Random                       io.Reader
}

// Authenticator signs people in, keeps their sessions and knows the roles of
// operators. It is safe for concurrent use.
type Authenticator struct {
	cfg       Config
	mounts    mounts
	providers map[string]Provider // by name
	attempts  *attempts
	proofs    *proofs
	sessions  *sessions
	tokens    *apiTokens
	recent    *recentGroups
	// changing is held by who changes operators or their accounts, so that of two
	// changes that each leave the other's operator one is refused.
	changing chan struct{}
}

// NewAuthenticator returns an authenticator with the sessions and API tokens
// that the stores hold. *dormer.InvalidError when directories or providers do
// not fit together.
func NewAuthenticator(ctx context.Context, cfg Config) (*Authenticator, error) {
	if len(cfg.CodeKey) != 0 && len(cfg.CodeKey) != codeKeySize {
		return nil, dormer.Invalidf("code key", "has %d bytes, not %d", len(cfg.CodeKey), codeKeySize)
	}
	a := &Authenticator{
		cfg: cfg, providers: map[string]Provider{}, attempts: newAttempts(cfg.Now), proofs: newProofs(cfg.Now),
		recent: newRecentGroups(cfg.Now), changing: make(chan struct{}, 1),
	}
	var err error
	if a.mounts, err = newMounts(cfg.Directories, cfg.Default); err != nil {
		return nil, err
	}
	for _, p := range cfg.Providers {
		called := p.Info().Name
		if _, twice := a.providers[called]; twice || called == "" {
			return nil, dormer.Invalidf("providers", "name %q is empty or used twice", called)
		}
		a.providers[called] = p
	}
	if cfg.Once == nil && (cfg.Negotiator != nil || len(cfg.Providers) > 0) {
		return nil, dormer.Invalidf("once", "tickets and providers need a store for what counts once")
	}
	if a.sessions, err = loadSessions(ctx, cfg.Sessions, cfg.Now, cfg.Random); err != nil {
		return nil, err
	}
	// Where people are signed in on clients they signed in before.
	for _, one := range a.sessions.byID {
		if d, ok := a.mounts.of(one.User); ok && one.Kind == SessionUser {
			a.attempts.remember(accountOf(d, one.User.Name), Attempt{Client: one.Client}.source())
		}
	}
	a.tokens, err = loadAPITokens(ctx, cfg.Tokens, cfg.Now)
	return a, err
}

// maxUser bounds what is taken for a user's name with its directory, in bytes.
const maxUser = 8 * dormer.MaxName

// Attempt is one attempt to sign in.
type Attempt struct {
	// User is a name in the default directory, PREFIX\name or name@suffix.
	User     string
	Password string
	// Remote is the address it came from.
	Remote string
	// Client is the client that it came through, if it did. It then counts in
	// place of the address: many computers may share one.
	Client dormer.ClientID
}

// source is what the limits of attempts take for the address.
func (t Attempt) source() string {
	if t.Client != "" {
		return "client " + string(t.Client)
	}
	return t.Remote
}

// SignIn checks a name and a password. ErrUnauthenticated when one of them is
// wrong, whichever; *RefusedError when the account may not be used;
// *throttle.Error after too many failures.
func (a *Authenticator) SignIn(ctx context.Context, t Attempt) (dormer.Principal, error) {
	return a.attempt(ctx, t, func(ctx context.Context, d Directory, user string) (dormer.Principal, error) {
		p, err := d.Authenticate(ctx, user, t.Password)
		return p, elsewhere(d, err)
	})
}

// elsewhere makes of a refusal for an old password one that says where it is
// changed, where users cannot change it here.
func elsewhere(d Directory, err error) error {
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || refused.Reason != ReasonMustChange && refused.Reason != ReasonPasswordExpired {
		return err
	}
	if _, here := d.(PasswordChanger); here {
		return err
	}
	return &RefusedError{Reason: refused.Reason, Elsewhere: d.Name()}
}

// ChangePassword signs in and sets a new password; all sessions that the user
// had end. Errors as of SignIn, ErrInvalid (field new_password), and
// ErrUnsupported when the directory does not let users change passwords here.
func (a *Authenticator) ChangePassword(ctx context.Context, t Attempt, replacement string) (dormer.Principal, error) {
	p, err := a.attempt(ctx, t, func(ctx context.Context, d Directory, user string) (dormer.Principal, error) {
		changer, ok := d.(PasswordChanger)
		if !ok {
			return dormer.Principal{}, fmt.Errorf("change a password of directory %s: %w", d.Name(), dormer.ErrUnsupported)
		}
		return changer.ChangePassword(ctx, user, t.Password, replacement)
	})
	if err != nil {
		return dormer.Principal{}, err
	}
	if err := a.sessions.endOf(ctx, p.ID()); err != nil {
		return dormer.Principal{}, err
	}
	a.sessions.proved(p.ID(), a.sessions.begin()) // by the new password
	return p, nil
}

// knownPlace is the key of what KnownPlace reports.
type knownPlace struct{}

// KnownPlace reports whether ctx is of an attempt to sign in from where the
// account signed in before. A directory that tries no password after too many
// wrong ones (ReasonGuarded), so that guessers do not lock the account, may try
// one from there: guessers elsewhere do not keep its user out then.
func KnownPlace(ctx context.Context) bool { return ctx.Value(knownPlace{}) != nil }

func (a *Authenticator) attempt(ctx context.Context, t Attempt, check func(context.Context, Directory, string) (dormer.Principal, error)) (dormer.Principal, error) {
	// Names and passwords without end are worth neither folding nor hashing.
	if len(t.User) > maxUser || len(t.Password) > wire.MaxPasswordLength {
		if _, err := a.attempts.begin("", t.source()); err != nil {
			return dormer.Principal{}, err
		}
		return dormer.Principal{}, fmt.Errorf("sign in: %w", dormer.ErrUnauthenticated)
	}
	to := a.mounts.route(t.User)
	refund, known, err := a.attempts.beginAt(to.account, t.source())
	if err != nil {
		return dormer.Principal{}, err
	}
	if known {
		ctx = context.WithValue(ctx, knownPlace{}, true)
	}
	if !to.known {
		return dormer.Principal{}, fmt.Errorf("sign in: no directory goes by the name before the backslash: %w", dormer.ErrUnauthenticated)
	}
	began := a.sessions.begin()
	p, err := check(ctx, to.Directory, to.name)
	if outcome := outcomeOf(err); outcome != wasGuess {
		refund(outcome == wasRight)
	}
	if _, refused := errors.AsType[*RefusedError](err); refused {
		return dormer.Principal{}, err // its reason is told and recorded as it is
	}
	if err != nil {
		return dormer.Principal{}, fmt.Errorf("sign in: %w", err)
	}
	a.proved(p, began)
	return p, nil
}

// proved is what follows when somebody has proved who they are.
func (a *Authenticator) proved(p dormer.Principal, began uint64) {
	a.recent.drop(p.ID())
	a.sessions.proved(p.ID(), began)
}

// outcome is what an attempt says about the password.
type outcome int

const (
	wasGuess   outcome = iota // it may have been a wrong one
	wasRight                  // it was right
	wasNeither                // it was not looked at
)

// outcomeOf tells from the error of a directory whether the password was
// right. Accounts that are locked or guarded are refused whatever the password.
func outcomeOf(err error) outcome {
	refused, ok := errors.AsType[*RefusedError](err)
	switch {
	case err == nil:
		return wasRight
	case errors.Is(err, dormer.ErrUnauthenticated):
		return wasGuess
	case ok && (refused.Reason == ReasonLocked || refused.Reason == ReasonGuarded):
		return wasGuess
	case errors.Is(err, dormer.ErrDenied):
		return wasRight
	}
	return wasNeither
}

// OpenSession makes a session for somebody who has signed in and returns its
// secret, which is not kept. client is that of a user session. Somebody has at
// most MaxSessions at once, of one kind and on one client: the oldest end.
// ErrUnauthenticated when the user's sessions were ended since the sign-in
// began.
func (a *Authenticator) OpenSession(ctx context.Context, kind SessionKind, user dormer.Principal, client dormer.ClientID) (Session, string, error) {
	length := a.cfg.OperatorSession
	if kind == SessionUser {
		length = a.cfg.UserSession
	}
	now := a.cfg.Now().UTC().Truncate(time.Microsecond)
	return a.sessions.open(ctx, Session{Kind: kind, User: user, Client: client, Created: now, Expires: now.Add(length)})
}

// CheckSession returns the session with that identity and secret, else
// ErrUnauthenticated. It asks the store only for one that this replica does not
// know: ErrUnavailable when the store does not answer then.
func (a *Authenticator) CheckSession(ctx context.Context, kind SessionKind, id, secret string) (Session, error) {
	return a.sessions.check(ctx, kind, id, secret)
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

// Follow learns what other replicas, and commands beside the server, did in the
// store: operators' sessions and API tokens that were made or ended. It is
// called now and then, and notes when API tokens were used.
func (a *Authenticator) Follow(ctx context.Context) error {
	return errors.Join(a.sessions.follow(ctx, SessionOperator), a.tokens.refresh(ctx), a.tokens.flush(ctx))
}

// FollowUsers is Follow for the sessions of users on clients, of which there are
// many more. It is called less often.
func (a *Authenticator) FollowUsers(ctx context.Context) error {
	return a.sessions.follow(ctx, SessionUser)
}

// Sweep forgets what has expired. It is called now and then.
func (a *Authenticator) Sweep(ctx context.Context) error {
	err := a.sessions.sweep(ctx)
	if a.cfg.Once != nil {
		if e := a.cfg.Once.DeleteExpiredUses(ctx, a.cfg.Now()); e != nil {
			err = errors.Join(err, fmt.Errorf("forget what was used once: %w", e))
		}
	}
	return err
}

// Token returns what an operator's session is called in requests.
func Token(s Session, secret string) string { return s.ID + "." + secret }

// Operator returns who uses the REST API with that token, of a session or an
// API token, and their role now. ErrUnauthenticated when there is no such
// session or API token, when it is over, or when its user may not be used any
// more; ErrUnavailable when that cannot be found out.
func (a *Authenticator) Operator(ctx context.Context, token string) (Caller, error) {
	if text, ok := strings.CutPrefix(token, apiTokenPrefix); ok {
		return a.apiCaller(ctx, text)
	}
	id, secret, _ := strings.Cut(token, ".")
	s, err := a.sessions.check(ctx, SessionOperator, id, secret)
	if err != nil {
		return Caller{}, err
	}
	role, err := a.Role(ctx, s.User)
	if errors.Is(err, dormer.ErrNotFound) || errors.Is(err, dormer.ErrDenied) {
		return Caller{}, fmt.Errorf("user of the session may not be used any more: %w", dormer.ErrUnauthenticated)
	}
	if err != nil {
		return Caller{}, err
	}
	return Caller{User: s.User, Role: role, Session: s}, nil
}
