package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// words are the passwords that users have signed in or unlocked with. In memory
// they stay as long as the user is signed in and a policy of theirs needs them:
// locking does not take them, since what they are for, network drives among it,
// goes on in a locked guest.
type words struct {
	mu       sync.Mutex // guards the fields below
	of       map[dormer.UserID]word
	serial   int
	settings settings
}

// word is a password; no other has its serial.
type word struct {
	text   string
	serial int
}

// settings are what the server lets clients do, and the passwords that are
// saved because it does. They are kept in FileSettings.
type settings struct {
	SavePasswords bool          `json:"save_passwords"`
	Domains       []wire.Domain `json:"domains,omitempty"`
	// Saved are passwords, sealed to the client's key with info savedInfo(user).
	Saved map[dormer.UserID][]byte `json:"saved,omitempty"`
}

// savedInfo is the info under which a saved password is sealed.
func savedInfo(u dormer.UserID) string { return "dormer password " + string(u) }

// password returns the password of a user of the instance who is signed in, if
// it is known here and a policy of theirs needs it.
func (a *Agent) password(u dormer.UserID) (string, bool) {
	w, ok := a.word(u)
	return w.text, ok
}

func (a *Agent) word(u dormer.UserID) (word, bool) {
	if !a.wanted(u) {
		return word{}, false
	}
	a.words.mu.Lock()
	w, ok := a.words.of[u]
	sealed := a.words.settings.Saved[u]
	a.words.mu.Unlock()
	if ok || len(sealed) == 0 {
		return w, ok
	}
	a.mu.Lock()
	key := a.key
	a.mu.Unlock()
	b, err := seal.Unseal(key, savedInfo(u), sealed)
	if err != nil {
		// The client has another key since: nobody opens it any more.
		a.log.LogAttrs(a.ctx, slog.LevelWarn, "a saved password is forgotten, as it cannot be opened", slog.Any("error", err))
		a.forgetPassword(u)
		return word{}, false
	}
	return a.learn(u, string(b)), true
}

// learn keeps a password in memory.
func (a *Agent) learn(u dormer.UserID, password string) word {
	a.words.mu.Lock()
	defer a.words.mu.Unlock()
	if w, ok := a.words.of[u]; ok && w.text == password {
		return w
	}
	a.words.serial++
	w := word{password, a.words.serial}
	if a.words.of == nil {
		a.words.of = map[dormer.UserID]word{}
	}
	a.words.of[u] = w
	return w
}

// proved takes the password with which a user has just shown who they are: a
// new one reaches the guests that run.
func (a *Agent) proved(u dormer.UserID, password string) {
	if password == "" {
		return
	}
	before, known := a.word(u)
	if w := a.learn(u, password); known && before == w {
		return
	}
	for _, m := range a.machinesOf(u) {
		m.rearrange()
	}
}

// keepSaved saves a password that the user wants saved, or that takes the place
// of one that is.
func (a *Agent) keepSaved(u dormer.UserID, password string, wanted bool) (saved bool, err error) {
	before := a.savedOf(u)
	if !wanted && (!before || password == "") {
		return before, nil
	}
	if err := a.savePassword(u, password, wanted); err != nil {
		a.forgetPassword(u) // the old one opens nothing any more
		return false, err
	}
	return a.savedOf(u), nil
}

// machinesOf are the machines of a user of the instance.
func (a *Agent) machinesOf(u dormer.UserID) []*machine {
	_, all := a.all()
	return slices.DeleteFunc(all, func(m *machine) bool { return !m.owns(u) })
}

// policiesOf are the policies of the machines of a user.
func (a *Agent) policiesOf(u dormer.UserID) []*policy.Effective {
	var out []*policy.Effective
	for _, m := range a.machinesOf(u) {
		m.mu.Lock()
		if m.policy != nil && m.record.Lease != nil {
			out = append(out, m.policy)
		}
		m.mu.Unlock()
	}
	return out
}

// needsAccount reports whether a policy makes something run as the user's own
// account of the guest.
func needsAccount(p *policy.Effective) bool {
	return p.Machine.SignOn == policy.SignOnUser || len(p.Applications.NetworkDrives) > 0 ||
		slices.ContainsFunc(p.Applications.Published, func(x policy.EffectiveApplication) bool { return x.UserCredentials })
}

// needsPassword reports whether a policy needs the user's password.
func needsPassword(p *policy.Effective) bool {
	return needsAccount(p) || slices.ContainsFunc(p.Setup.Actions, func(x policy.SetupAction) bool {
		return x.JoinDomain != nil && x.JoinDomain.Credentials == policy.JoinUser ||
			x.RunCommand != nil && x.RunCommand.Password != "" && x.RunCommand.Password != policy.PasswordNone
	})
}

// wanted reports whether a user is signed in and a policy of theirs needs their
// password.
func (a *Agent) wanted(u dormer.UserID) bool {
	a.mu.Lock()
	_, signedIn := a.users.find(u)
	a.mu.Unlock()
	return signedIn && slices.ContainsFunc(a.policiesOf(u), needsPassword)
}

// maySave returns why the password of a user may not be saved.
func (a *Agent) maySave(u dormer.UserID) error {
	a.words.mu.Lock()
	allowed := a.words.settings.SavePasswords
	a.words.mu.Unlock()
	if !allowed {
		return fmt.Errorf("the server does not let passwords be saved on clients: %w", dormer.ErrDenied)
	}
	if !slices.ContainsFunc(a.policiesOf(u), func(p *policy.Effective) bool { return p.Deployment.SavePassword }) {
		return fmt.Errorf("no workspace of yours lets the password be saved: %w", dormer.ErrDenied)
	}
	return nil
}

// savePassword keeps a password beyond the life of the agent, if that is
// allowed. One that is not wanted only takes the place of another, which may have
// been refused and forgotten by now.
func (a *Agent) savePassword(u dormer.UserID, password string, wanted bool) error {
	if err := a.maySave(u); err != nil {
		return err
	}
	a.mu.Lock()
	key := a.key
	a.mu.Unlock()
	sealed, err := sealToOwn(key, savedInfo(u), []byte(password))
	if err != nil {
		return fmt.Errorf("save password: %w", err)
	}
	return a.changeSettings(func(s *settings) {
		if s.Saved == nil {
			s.Saved = map[dormer.UserID][]byte{}
		}
		if _, still := s.Saved[u]; !still && !wanted {
			return
		}
		s.Saved[u] = sealed
	})
}

// forgetPassword forgets a password, a saved one too.
func (a *Agent) forgetPassword(u dormer.UserID) {
	a.words.mu.Lock()
	delete(a.words.of, u)
	a.words.mu.Unlock()
	if !a.savedOf(u) {
		return
	}
	if err := a.changeSettings(func(s *settings) { delete(s.Saved, u) }); err != nil {
		a.log.LogAttrs(a.ctx, slog.LevelError, "a saved password cannot be deleted", slog.Any("error", err))
	}
}

// changeSettings keeps other settings; in memory they hold even if they cannot
// be written.
func (a *Agent) changeSettings(change func(*settings)) error {
	a.words.mu.Lock()
	defer a.words.mu.Unlock()
	next := a.words.settings
	next.Saved = maps.Clone(next.Saved)
	change(&next)
	a.words.settings = next
	return a.state.writeJSON(FileSettings, next)
}

// takeSettings takes what the server lets clients do, and forgets the passwords
// that nothing needs or allows any more.
func (a *Agent) takeSettings(answer wire.PollAnswer) error {
	a.words.mu.Lock()
	s := a.words.settings
	a.words.mu.Unlock()
	var err error
	if s.SavePasswords != answer.SavePasswords || !slices.Equal(s.Domains, answer.Domains) {
		err = a.changeSettings(func(s *settings) { s.SavePasswords, s.Domains = answer.SavePasswords, answer.Domains })
	}
	a.words.mu.Lock()
	known, saved := slices.Collect(maps.Keys(a.words.of)), slices.Collect(maps.Keys(a.words.settings.Saved))
	a.words.mu.Unlock()
	for _, u := range saved {
		// Of a user whose session has ended it is for the next sign-in.
		if !answer.SavePasswords || a.signedIn(u) && a.maySave(u) != nil {
			a.forgetPassword(u)
		}
	}
	for _, u := range known {
		if !a.wanted(u) {
			a.words.mu.Lock()
			delete(a.words.of, u)
			a.words.mu.Unlock()
		}
	}
	return err
}

// savedOf reports whether the password of a user is saved.
func (a *Agent) savedOf(u dormer.UserID) bool {
	a.words.mu.Lock()
	defer a.words.mu.Unlock()
	return len(a.words.settings.Saved[u]) > 0
}

func (a *Agent) signedIn(u dormer.UserID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.users.find(u)
	return ok
}

// domainOf is how the domain of a user is called; empty for a user of none.
func (a *Agent) domainOf(u dormer.Principal) wire.Domain {
	a.words.mu.Lock()
	defer a.words.mu.Unlock()
	i := slices.IndexFunc(a.words.settings.Domains, func(d wire.Domain) bool { return d.Directory == u.Directory })
	if i < 0 {
		return wire.Domain{}
	}
	return a.words.settings.Domains[i]
}

// signInSaved signs a user in again, whose session the server has ended, by the
// password that is saved or else by their ticket. It returns at once. A password
// that is refused is tried once only.
func (a *Agent) signInSaved(s session) {
	a.words.mu.Lock()
	sealed := a.words.settings.Saved[s.User.ID()]
	delete(a.words.of, s.User.ID())
	a.words.mu.Unlock()
	if len(sealed) == 0 || a.ctx.Err() != nil {
		a.signInAgain(s.UID)
		return
	}
	a.mu.Lock()
	key := a.key
	a.mu.Unlock()
	a.running.Go(func() {
		password, err := seal.Unseal(key, savedInfo(s.User.ID()), sealed)
		if err == nil {
			_, err = a.SignIn(a.ctx, agentapi.Peer{UID: s.UID}, agentapi.SignInRequest{User: s.User.Qualified(), Password: string(password)})
		}
		if err == nil || a.ctx.Err() != nil {
			return
		}
		if errors.Is(err, dormer.ErrDenied) || errors.Is(err, dormer.ErrCorrupt) {
			a.forgetPassword(s.User.ID())
		}
		a.log.LogAttrs(context.WithoutCancel(a.ctx), slog.LevelInfo, "the user is not signed in again by the saved password", slog.Any("error", err))
	})
}
