package ldap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/name"
)

// nobody is whom a password is tried for when the account is not there, so that
// the answer takes as long.
const nobody = "cn=dormer-no-such-account"

// Authenticate checks a password by signing in to the server as the account.
//
// Active Directory tells that an account is disabled, has expired or must
// change its password only to who knows the password. That it is locked it
// tells everybody, and so does this; so does a plain server with a password
// policy for a lock that ends by itself. Neither looks at the password then.
func (d *Directory) Authenticate(ctx context.Context, who, password string) (dormer.Principal, error) {
	wrong := fmt.Errorf("sign in to directory %s: %w", d.config.Name, dormer.ErrUnauthenticated)
	// A server takes a bind without a password for one of nobody, and lets it in.
	if password == "" || len(password) > MaxPasswordBytes || !askable(who) {
		return dormer.Principal{}, wrong
	}
	account, err := d.account(ctx, who)
	if err != nil {
		return dormer.Principal{}, err
	}
	if account == nil {
		err := d.pool.signIn(ctx, nil, func(c *conn) error {
			return c.with(ctx, func() error { return c.ldap.Bind(nobody, password) })
		})
		if errors.Is(err, dormer.ErrUnavailable) {
			return dormer.Principal{}, err
		}
		return dormer.Principal{}, wrong
	}
	p, err := d.principal(dormer.KindUser, account)
	if err != nil {
		return dormer.Principal{}, err
	}
	release, err := d.guard.enter(ctx, p.Key)
	if err != nil {
		return dormer.Principal{}, err
	}
	defer release()
	at, err := d.mayTry(ctx, account.DN)
	if err != nil {
		return dormer.Principal{}, err
	}
	err = d.pool.signIn(ctx, at, func(c *conn) error { return d.bind(ctx, c, account.DN, password) })
	if errors.Is(err, dormer.ErrUnauthenticated) && d.config.Kind == Plain {
		err = d.lockedBriefly(ctx, account.DN, err)
	}
	if err != nil {
		return dormer.Principal{}, err
	}
	if d.config.Kind == Plain {
		err := d.pool.search(ctx, func(c *conn) error { return d.usableNow(ctx, c, account) })
		if err != nil {
			return dormer.Principal{}, err
		}
	}
	return p, nil
}

// account finds the account that somebody names by account name, DOMAIN\name,
// name@domain or user principal name. Nil: there is none.
func (d *Directory) account(ctx context.Context, who string) (*goldap.Entry, error) {
	prefix, short, has := strings.Cut(who, `\`)
	if has {
		if !slices.ContainsFunc([]string{d.config.NetBIOS, d.config.Domain, d.config.Name}, func(own string) bool {
			return own != "" && name.Fold(own) == name.Fold(prefix)
		}) || !askable(short) {
			return nil, nil
		}
		who = short
	}
	attributes := append(d.schema.described(d.schema.userName), d.schema.state...)
	// In this order: who is called so in full comes before who is by the domain.
	type way struct{ attribute, name string }
	ways := []way{{d.schema.userName, who}}
	if user, suffix, has := strings.Cut(who, "@"); has && !strings.Contains(suffix, "@") {
		if d.schema.principalName != "" {
			ways = append(ways, way{d.schema.principalName, who})
		}
		if d.config.Domain != "" && name.Fold(suffix) == name.Fold(d.config.Domain) && askable(user) {
			ways = append(ways, way{d.schema.userName, user})
		}
	}
	oneOf := make([]filter, len(ways))
	for i, w := range ways {
		oneOf[i] = called(w.name, w.attribute)
	}
	var account *goldap.Entry
	err := d.pool.search(ctx, func(c *conn) error {
		account = nil
		found, _, err := d.below(ctx, c, every(d.schema.users, either(oneOf...)), MaxFound, attributes...)
		if err != nil {
			return err
		}
		for _, w := range ways {
			fits := slices.DeleteFunc(slices.Clone(found), func(e *goldap.Entry) bool { return !goesBy(e, w.name, []string{w.attribute}) })
			switch {
			case len(fits) == 1:
				account = fits[0]
				return nil
			case len(fits) > 1:
				d.config.Logger.Warn("two accounts go by one name, so that neither can sign in by it", slog.String("directory", d.config.Name),
					slog.String("account", fits[0].DN), slog.String("other", fits[1].DN))
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return account, nil
}

// signIn opens a connection that is used for one sign-in, preferably to a
// certain server. It does not go back to the pool.
func (p *pool) signIn(ctx context.Context, prefer *server, bind func(*conn) error) error {
	release, err := p.take(ctx, p.signIns)
	if err != nil {
		return err
	}
	defer release()
	servers := p.order()
	slices.SortStableFunc(servers, func(a, b *server) int {
		switch {
		case a == b:
			return 0
		case a == prefer:
			return -1
		case b == prefer:
			return 1
		}
		return 0
	})
	var errs []error
	for _, s := range servers {
		c, err := s.open(ctx, p.config.Timeout)
		if err == nil {
			p.alive(s)
			err = bind(c)
			c.close()
			if !lost(err) {
				return err
			}
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
		p.dead(s, err)
	}
	return &unreachableError{directory: p.config.Name, errs: errs}
}

// bind signs in as the account and says what the server thinks of it.
func (d *Directory) bind(ctx context.Context, c *conn, dn, password string) error {
	request := goldap.NewSimpleBindRequest(dn, password, nil)
	if d.config.Kind == Plain {
		request.Controls = []goldap.Control{goldap.NewControlBeheraPasswordPolicy()}
	}
	var result *goldap.SimpleBindResult
	err := c.with(ctx, func() (err error) {
		result, err = c.ldap.SimpleBind(request)
		return err
	})
	if lost(err) {
		return err
	}
	wrong := fmt.Errorf("sign in to directory %s: %w", d.config.Name, dormer.ErrUnauthenticated)
	if reason, ok := policyReason(result); ok {
		return &access.RefusedError{Reason: reason}
	}
	switch code := resultCode(err); code {
	case goldap.LDAPResultInvalidCredentials:
		if d.config.Kind == ActiveDirectory {
			if reason, ok := bindReason(err); ok {
				return &access.RefusedError{Reason: reason}
			}
		}
		return wrong
	case goldap.LDAPResultConstraintViolation:
		// What 389 Directory Server says to too many wrong passwords.
		return &access.RefusedError{Reason: access.ReasonLocked}
	case goldap.LDAPResultInappropriateAuthentication, goldap.LDAPResultNoSuchObject, goldap.LDAPResultUnwillingToPerform,
		goldap.LDAPResultInsufficientAccessRights, goldap.LDAPResultInvalidDNSyntax:
		// No password, gone meanwhile, not to be used for signing in: servers say
		// these without having looked at the password.
		return wrong
	default:
		if err != nil {
			return fmt.Errorf("sign in on %s; the server said: %s: %w", c.server.address, said(err), dormer.ErrUnavailable)
		}
		return nil
	}
}

// reasons are the codes of Active Directory that follow "data" in the text
// beside error 49. 52e and 525 are a wrong password and no such user.
var reasons = map[string]access.Reason{
	"530": access.ReasonHours,
	"531": access.ReasonHours,
	"532": access.ReasonPasswordExpired,
	"533": access.ReasonDisabled,
	"701": access.ReasonExpired,
	"773": access.ReasonMustChange,
	"775": access.ReasonLocked,
}

var reasonPattern = regexp.MustCompile(`\bdata ([0-9a-fA-F]{1,8})\b`)

// bindReason is why Active Directory refuses an account; there is no other
// place where it says so.
func bindReason(err error) (access.Reason, bool) {
	e, ok := errors.AsType[*goldap.Error](err)
	if !ok || e.ResultCode != goldap.LDAPResultInvalidCredentials || e.Err == nil {
		return "", false
	}
	return adReason(e.Err.Error())
}

func adReason(text string) (access.Reason, bool) {
	m := reasonPattern.FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	reason, ok := reasons[strings.ToLower(m[1])]
	return reason, ok
}

// policyReasons are the errors of the password policy control
// (draft-behera-ldap-password-policy). A password that has expired is only
// told to who knows it.
var policyReasons = map[int8]access.Reason{
	0: access.ReasonPasswordExpired,
	1: access.ReasonLocked,
	2: access.ReasonMustChange,
}

func policyReason(result *goldap.SimpleBindResult) (access.Reason, bool) {
	if result == nil {
		return "", false
	}
	for _, control := range result.Controls {
		if policy, ok := control.(*goldap.ControlBeheraPasswordPolicy); ok {
			reason, ok := policyReasons[policy.Error]
			return reason, ok
		}
	}
	return "", false
}

// foreverLocked is the pwdAccountLockedTime of an account that an administrator
// locked.
const foreverLocked = "000001010000Z"

// lockedBriefly returns that the account is locked when a password policy
// locked it, which the server hides by saying that the password is wrong.
// An account that an administrator locked for good is as good as disabled: only
// who knows the password might be told, and nobody can know whether he does.
func (d *Directory) lockedBriefly(ctx context.Context, dn string, wrong error) error {
	var at string
	err := d.pool.search(ctx, func(c *conn) error {
		found, _, err := c.find(ctx, request{base: dn, scope: goldap.ScopeBaseObject, filter: anything, attributes: []string{"pwdAccountLockedTime"}, limit: 1})
		if len(found) > 0 {
			at = found[0].GetEqualFoldAttributeValue("pwdAccountLockedTime")
		}
		return err
	})
	if errors.Is(err, dormer.ErrUnavailable) {
		return err
	}
	if at != "" && at != foreverLocked {
		return &access.RefusedError{Reason: access.ReasonLocked}
	}
	return wrong
}
