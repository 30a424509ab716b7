package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

const (
	// ticketLife is how long a ticket can be renewed at most, if the domain
	// allows; renewEvery how often that is done.
	ticketLife = "7d"
	renewEvery = time.Hour
	// loginNameLimit is the longest name of a Linux account.
	loginNameLimit = 32
)

// signOn finds or makes the account of a user, gives it the password, and gets
// a ticket where there is a realm.
func (g *Guest) signOn(ctx context.Context, r guestwire.SignOnRequest) (guestwire.SignOnResult, error) {
	if err := checkSignOn(r); err != nil {
		return guestwire.SignOnResult{}, err
	}
	g.arranging.Lock()
	defer g.arranging.Unlock()
	who, local, made, err := g.userAccount(ctx, r)
	if err != nil {
		return guestwire.SignOnResult{}, fmt.Errorf("sign on: %w", err)
	}
	now := signed{account: who.name, password: passwordHash(r.Password)}
	g.mu.Lock()
	before := g.signed
	g.mu.Unlock()
	changed := before.account != now.account || before.password != now.password
	if local && r.Password != "" && (made || changed) {
		if _, err := (tool{args: []string{"chpasswd"}, stdin: []byte(who.name + ":" + r.Password + "\n")}).run(ctx); err != nil {
			return guestwire.SignOnResult{}, fmt.Errorf("sign on: password of %s: %w", who.name, err)
		}
	}
	result := guestwire.SignOnResult{Account: who.name, Made: made}
	if r.Realm != "" && r.Password != "" {
		now.principal = r.User + "@" + strings.ToUpper(r.Realm)
		if !changed && before.principal == now.principal && hasTicket(ctx, who) {
			result.Ticket = true
		} else if err := g.takeTicket(ctx, who, now.principal, r); err != nil {
			result.Problem, result.Away = err.Error(), errors.Is(err, dormer.ErrUnavailable)
			g.cfg.Log.Warn("user gets no ticket", slog.String("user", who.name), slog.Any("error", err))
		} else {
			result.Ticket = true
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.signed = now
	return result, nil
}

// userAccount finds the account of a user: of the domain if the guest knows it
// there, else a local one, which is made when it is missing.
func (g *Guest) userAccount(ctx context.Context, r guestwire.SignOnRequest) (who account, local, made bool, err error) {
	for _, name := range domainNames(r) {
		if who, err := domainAccount(name); err == nil && who.uid >= firstRegularUser {
			return who, false, false, nil
		}
	}
	name := loginName(r.User)
	who, err = g.account(name)
	if errors.Is(err, dormer.ErrNotFound) {
		if err := addUser(ctx, name); err != nil {
			return account{}, false, false, err
		}
		made = true
		who, err = g.account(name)
	}
	if err != nil {
		return account{}, false, false, err
	}
	if who.uid < firstRegularUser || who.uid > lastRegularUser {
		return account{}, false, false, fmt.Errorf("%s is an account of the guest's system: %w", name, dormer.ErrConflict)
	}
	// A user without a line in passwd has no password that could be set here.
	_, err = user.Lookup(name)
	return who, err == nil, made, nil
}

// domainNames are the names under which name services know users of a domain.
func domainNames(r guestwire.SignOnRequest) []string {
	var names []string
	if r.Domain != "" {
		names = append(names, r.Domain+`\`+r.User)
	}
	if r.Realm != "" {
		names = append(names, r.User+"@"+strings.ToLower(r.Realm))
	}
	return names
}

// loginName is the name of a local account: lower case, with an underscore for
// what Linux does not take.
func loginName(name string) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		default:
			return '_'
		}
	}, strings.ToLower(name))
	if out[0] < 'a' || out[0] > 'z' {
		out = "u" + out
	}
	return out[:min(len(out), loginNameLimit)]
}

// addUser makes a local account with a home folder and without a password.
func addUser(ctx context.Context, name string) error {
	shell := "/bin/sh"
	if isFile("/bin/bash") {
		shell = "/bin/bash"
	}
	_, err := tool{args: []string{"useradd", "--create-home", "--shell", shell, "--", name}}.run(ctx)
	if errors.Is(err, dormer.ErrUnsupported) {
		_, err = tool{args: []string{"adduser", "-D", "-s", shell, name}}.run(ctx)
	}
	if err != nil {
		return fmt.Errorf("make account %s: %w", name, err)
	}
	return nil
}

// takeTicket gets a ticket with the user's password, as that user.
func (g *Guest) takeTicket(ctx context.Context, who account, principal string, r guestwire.SignOnRequest) error {
	if err := g.ensureKerberos(r.Realm, nil); err != nil {
		return err
	}
	if err := memoryFolder(ticketsFolder); err != nil {
		return err
	}
	dir := filepath.Dir(ticketFile(who.uid))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fileError("make", dir, err)
	}
	if err := os.Chown(dir, int(who.uid), int(who.gid)); err != nil {
		return fmt.Errorf("folder for tickets: %w", err)
	}
	cache := "FILE:" + ticketFile(who.uid)
	kinit := tool{who: &who, args: []string{"kinit", "-c", cache, "-r", ticketLife, principal}, env: []string{"KRB5CCNAME=" + cache}, stdin: []byte(r.Password + "\n")}
	if out, err := kinit.run(ctx); err != nil {
		if unreachable(out) {
			err = errors.Join(err, dormer.ErrUnavailable)
		}
		return fmt.Errorf("ticket for %s: %w", principal, err)
	}
	return nil
}

// unreachable reports whether kinit, which tells by its words alone, found nobody
// to ask.
func unreachable(said []byte) bool {
	for _, words := range []string{"Cannot contact any KDC", "Cannot find KDC", "Cannot resolve", "Resource temporarily unavailable"} {
		if bytes.Contains(said, []byte(words)) {
			return true
		}
	}
	return false
}

// hasTicket says whether the user's ticket is still good.
func hasTicket(ctx context.Context, who account) bool {
	_, err := tool{who: &who, args: []string{"klist", "-s", "-c", "FILE:" + ticketFile(who.uid)}}.run(ctx)
	return err == nil
}

// care does what is to be done at the start, and then renews the ticket of the user who is signed on, until ctx ends.
func (g *Guest) care(ctx context.Context) {
	if err := forgetSecrets(); err != nil {
		g.cfg.Log.Error("cannot remove what is left of secrets", slog.Any("error", err))
	}
	if err := g.markUsed(ctx); err != nil {
		g.cfg.Log.Error("cannot note the first start", slog.Any("error", err))
	}
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		g.mu.Lock()
		name := g.signed.account
		g.mu.Unlock()
		if name == "" {
			continue
		}
		if who, err := g.account(name); err == nil && isFile(ticketFile(who.uid)) {
			if _, err := (tool{who: &who, args: []string{"kinit", "-R", "-c", "FILE:" + ticketFile(who.uid)}}).run(ctx); err != nil {
				g.cfg.Log.Debug("ticket is not renewed", slog.Any("error", err))
			}
		}
	}
}

// signOff forgets the user: drives and tickets go, the account stays.
func (g *Guest) signOff(ctx context.Context) error {
	g.arranging.Lock()
	defer g.arranging.Unlock()
	g.mu.Lock()
	name := g.signed.account
	g.mu.Unlock()
	if name == "" {
		return nil
	}
	who, err := g.account(name)
	if err != nil {
		return fmt.Errorf("sign off: %w", err)
	}
	if err := unmapDrives(ctx, who, nil); err != nil {
		return fmt.Errorf("sign off: %w", err)
	}
	if err := os.RemoveAll(filepath.Dir(ticketFile(who.uid))); err != nil {
		return fmt.Errorf("sign off: remove tickets: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.signed = signed{}
	return nil
}

const kerberosConf = "/etc/krb5.conf"

// ensureKerberos writes settings for a realm when the guest has none at all.
func (g *Guest) ensureKerberos(realm string, servers []string) error {
	name := g.path(kerberosConf)
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError("read", name, err)
	}
	if err == nil && !strings.HasPrefix(string(text), written) {
		return nil
	}
	want := kerberosText(realm, servers)
	if string(text) == want || err == nil && len(servers) == 0 && strings.Contains(string(text), "default_realm = "+strings.ToUpper(realm)+"\n") {
		return nil
	}
	return replaceFile(name, []byte(want), 0o644, "")
}

func kerberosText(realm string, servers []string) string {
	upper, lower := strings.ToUpper(realm), strings.ToLower(realm)
	text := written + "[libdefaults]\n\tdefault_realm = " + upper +
		"\n\tdns_lookup_kdc = true\n\tdns_lookup_realm = false\n\tdns_canonicalize_hostname = false\n\trdns = false\n\tudp_preference_limit = 1\n" +
		"\tdefault_ccache_name = FILE:" + ticketsFolder + "/%{uid}/cc\n"
	if len(servers) > 0 {
		text += "[realms]\n\t" + upper + " = {\n"
		for _, s := range servers {
			text += "\t\tkdc = " + s + "\n"
		}
		text += "\t}\n"
	}
	return text + "[domain_realm]\n\t." + lower + " = " + upper + "\n\t" + lower + " = " + upper + "\n"
}
