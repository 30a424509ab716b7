package ldap

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/directorytest"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
)

func refusedFor(err error) access.Reason {
	if e, ok := errors.AsType[*access.RefusedError](err); ok {
		return e.Reason
	}
	return ""
}

// hostile are names with characters that filters, DNs and C programs give a
// meaning.
var hostile = []string{
	"*", "ali*", "alice)(objectClass=*", "alice)(|(uid=*", "(", ")", `\`, `alice\`, `\2a`, "alice\x00", "\x00", "alice\x00)(uid=*", "\xff\xfe", "alice\n",
	"alice,DC=corp", "CN=alice,OU=People,DC=corp,DC=example,DC=test", "<SID=S-1-5-32-544>", "alice@", "@corp.example.test", "@", "*@corp.example.test",
	`CORP\`, `\alice`, `CORP\*`, `CORP\CORP\alice`, "alice@corp.example.test@corp.example.test", " ", " alice", "alice ", strings.Repeat("a", 100_000),
}

func checkHostile(t *testing.T, d *Directory, password string) {
	t.Helper()
	for _, who := range hostile {
		if p, err := d.Authenticate(t.Context(), who, password); !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Errorf("%.40q signed in as %+v, %v", who, p, err)
		}
		for _, kind := range []dormer.PrincipalKind{dormer.KindUser, dormer.KindGroup} {
			if p, err := d.Resolve(t.Context(), kind, who); !errors.Is(err, dormer.ErrNotFound) {
				t.Errorf("%.40q is the %s %+v, %v", who, kind, p, err)
			}
			if found, err := d.Match(t.Context(), kind, who, 10); err != nil || len(found) != 0 {
				t.Errorf("%.40q matches %+v, %v", who, found, err)
			}
			if p, err := d.Lookup(t.Context(), dormer.Principal{Directory: d.Name(), Kind: kind, Key: who, Name: "alice"}); !errors.Is(err, dormer.ErrNotFound) {
				t.Errorf("%.40q is the key of %+v, %v", who, p, err)
			}
		}
		if strings.HasSuffix(who, " ") {
			continue // that "Alice Example" begins with
		}
		if found, err := d.Find(t.Context(), who, 10); err != nil || len(found) != 0 {
			t.Errorf("%.40q begins %+v, %v", who, found, err)
		}
	}
}

func TestNames(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	d := open(t, domainConfig(t, corp))
	password := corp.Password(t, "alice")
	for _, who := range []string{"alice", "ALICE", `CORP\alice`, `corp\Alice`, `corp.example.test\alice`, "alice@corp.example.test", "Alice@CORP.EXAMPLE.TEST"} {
		if p, err := d.Authenticate(t.Context(), who, password); err != nil || p.Name != "alice" {
			t.Errorf("%s: %+v, %v", who, p, err)
		}
	}
	for _, who := range []string{"erin", "erin.example@corp.example.test", "erin@corp.example.test"} {
		if p, err := d.Authenticate(t.Context(), who, corp.Password(t, "erin")); err != nil || p.Name != "erin" {
			t.Errorf("%s: %+v, %v", who, p, err)
		}
	}
	for _, who := range []string{`OTHER\alice`, "alice@other.example.test", "alice@example.test", "erin.example", "alice.example@example.com", "staff", "DC1$", "krbtgt"} {
		if p, err := d.Authenticate(t.Context(), who, password); !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Errorf("%s: %+v, %v", who, p, err)
		}
	}
	checkHostile(t, d, password)

	// By other names than that of the account, when somebody is granted something.
	for who, want := range map[string]string{
		"alice.example@example.com": "alice", "Alice Example": "alice", "erin.example@corp.example.test": "erin", `Erin "E." Example, (Sales) *`: "erin",
	} {
		found, err := d.Match(t.Context(), dormer.KindUser, who, 10)
		if err != nil || len(found) != 1 || found[0].Principal.Name != want || found[0].Detail == "" {
			t.Errorf("match %s: %+v, %v", who, found, err)
		}
	}
	for prefix, want := range map[string]string{"alice.ex": "alice", "Erin \"E.\"": "erin", "everyone-o": "everyone-office"} {
		found, err := d.Find(t.Context(), prefix, 10)
		if err != nil || len(found) != 1 || found[0].Principal.Name != want {
			t.Errorf("find %s: %+v, %v", prefix, found, err)
		}
	}
	// Computers and groups for mail alone are none of it.
	corp.LDIF(t, fmt.Sprintf("dn: %s\nobjectClass: group\nsAMAccountName: mail-only\ngroupType: 2\n", corp.GroupDN("mail-only")))
	for _, who := range []string{"DC1$", "mail-only"} {
		if found, err := d.Find(t.Context(), who, 10); err != nil || len(found) != 0 {
			t.Errorf("find %s: %+v, %v", who, found, err)
		}
	}

	other := domainConfig(t, corp)
	other.BaseDN = "OU=Groups," + corp.BaseDN
	o := open(t, other)
	if _, err := o.Authenticate(t.Context(), "alice", password); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("somebody who is not below the base: %v", err)
	}
	alice := resolve(t, d, dormer.KindUser, "alice")
	if _, err := o.Groups(t.Context(), alice); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("groups of somebody who is not below the base: %v", err)
	}
}

// Who is found first does not depend on how many there are.
func TestFindIsSorted(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	d := open(t, domainConfig(t, corp))
	const users = 400
	var entries strings.Builder
	for i := range users { // the last comes first
		fmt.Fprintf(&entries, "dn: CN=Many %d,OU=People,%s\nobjectClass: user\nsAMAccountName: many-%03d\nuserAccountControl: 514\n\n", i, corp.BaseDN, users-1-i)
	}
	corp.LDIF(t, entries.String())
	for _, limit := range []int{1, 10, users, users + 10} {
		found, err := d.Find(t.Context(), "MANY", limit)
		if err != nil || len(found) != min(users, limit) {
			t.Errorf("limit %d: %d found, %v", limit, len(found), err)
		}
		for i, e := range found {
			if e.Principal.Name != fmt.Sprintf("many-%03d", i) {
				t.Errorf("limit %d: %d is %s", limit, i, e.Principal.Name)
				break
			}
		}
	}
}

// Changes in the directory are there at the next question.
func TestChanges(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	d := open(t, domainConfig(t, corp))
	alice := resolve(t, d, dormer.KindUser, "alice")
	everyone := resolve(t, d, dormer.KindGroup, "everyone-office")
	if got := groupsOf(t, d, alice); !slices.Contains(got, "everyone-office") || !slices.Contains(got, "Domain Users") {
		t.Errorf("groups at first: %q", got)
	}
	chain, err := d.Chain(t.Context(), alice, everyone)
	if err != nil || len(chain) != 3 || chain[0].Name != "staff" || chain[2] != everyone {
		t.Errorf("chain: %+v, %v", chain, err)
	}
	if chain, err := d.Chain(t.Context(), alice, resolve(t, d, dormer.KindGroup, "Domain Users")); err != nil || len(chain) != 1 {
		t.Errorf("chain to the primary group: %+v, %v", chain, err)
	}

	// Groups in each other, and a shorter way.
	corp.AddMember(t, "staff", corp.GroupDN("office"))
	corp.AddMember(t, "office", corp.DN("alice"))
	if got := groupsOf(t, d, alice); !slices.Contains(got, "everyone-office") {
		t.Errorf("groups in a circle: %q", got)
	}
	if chain, err := d.Chain(t.Context(), alice, everyone); err != nil || len(chain) != 2 || chain[0].Name != "office" {
		t.Errorf("the shorter way: %+v, %v", chain, err)
	}
	if _, err := d.Chain(t.Context(), alice, resolve(t, d, dormer.KindGroup, "renamable")); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("no way, in a circle: %v", err)
	}

	corp.RemoveMember(t, "office", corp.DN("alice"))
	corp.RemoveMember(t, "staff", corp.DN("alice"))
	if got := groupsOf(t, d, alice); slices.Contains(got, "everyone-office") || slices.Contains(got, "staff") {
		t.Errorf("groups after the removal: %q", got)
	}
	corp.SetDisabled(t, "alice", true)
	if _, err := d.Groups(t.Context(), alice); refusedFor(err) != access.ReasonDisabled {
		t.Errorf("groups of a disabled user: %v", err)
	}
	if _, err := d.Authenticate(t.Context(), "alice", corp.Password(t, "alice")); refusedFor(err) != access.ReasonDisabled {
		t.Errorf("sign-in of a disabled user: %v", err)
	}
	corp.Tool(t, "user", "delete", "alice")
	if _, err := d.Lookup(t.Context(), alice); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a deleted user: %v", err)
	}
}

func TestGuard(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	d := open(t, domainConfig(t, corp))
	count := func(account string) string {
		out := corp.Tool(t, "user", "show", account, "--attributes=badPwdCount,lockoutTime")
		var kept []string
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "badPwdCount") || strings.HasPrefix(line, "lockoutTime") {
				kept = append(kept, strings.TrimSpace(line))
			}
		}
		return strings.Join(kept, " ")
	}
	// Guesses side by side: five would lock.
	var wrong, guarded, others int
	var mu sync.Mutex
	var guesses sync.WaitGroup
	for i := range 20 {
		guesses.Go(func() {
			_, err := d.Authenticate(t.Context(), "bob", fmt.Sprintf("a guess %d", i))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, dormer.ErrUnauthenticated):
				wrong++
			case refusedFor(err) == access.ReasonGuarded:
				guarded++
			default:
				others++
				t.Error(err)
			}
		})
	}
	guesses.Wait()
	if wrong != 3 || guarded != 17 || others != 0 {
		t.Errorf("%d wrong, %d guarded", wrong, guarded)
	}
	if got := count("bob"); !strings.Contains(got, "badPwdCount: 3") || strings.Contains(got, "lockoutTime: 1") {
		t.Errorf("the domain counts %q", got)
	}
	_, err := d.Authenticate(t.Context(), "bob", corp.Password(t, "bob"))
	if refusedFor(err) != access.ReasonGuarded {
		t.Errorf("the right password meanwhile: %v", err)
	}
	// A domain forgets wrong passwords after 30 minutes unless it is told otherwise.
	if refused, ok := errors.AsType[*access.RefusedError](err); !ok || refused.Wait < 25*time.Minute || refused.Wait > 31*time.Minute {
		t.Errorf("how long to wait: %v", err)
	}
	if _, err := d.Authenticate(t.Context(), "carol", corp.Password(t, "carol")); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	reset(t, corp, "bob")
	if _, err := d.Authenticate(t.Context(), "bob", corp.Password(t, "bob")); err != nil {
		t.Errorf("when it is forgotten: %v", err)
	}

	// Without the guard they lock.
	c := domainConfig(t, corp)
	c.SpareAttempts = -1
	off := open(t, c)
	for range 6 {
		_, err := off.Authenticate(t.Context(), "bob", directorytest.WrongPassword)
		if err == nil {
			t.Fatal("a wrong password was taken")
		}
	}
	if _, err := off.Authenticate(t.Context(), "bob", corp.Password(t, "bob")); refusedFor(err) != access.ReasonLocked {
		t.Errorf("after six wrong passwords: %v", err)
	}
	if _, err := d.Authenticate(t.Context(), "bob", corp.Password(t, "bob")); refusedFor(err) != access.ReasonLocked {
		t.Errorf("a locked account, with the guard: %v", err)
	}

	// A policy of its own for one account: as long as the service account may not
	// read it, one attempt is all.
	corp.Tool(t, "domain", "passwordsettings", "pso", "create", "strict", "10", "--account-lockout-threshold=4", "--account-lockout-duration=30",
		"--reset-account-lockout-after=30")
	corp.Tool(t, "domain", "passwordsettings", "pso", "apply", "strict", "carol")
	attempts := func(d *Directory, want ...access.Reason) {
		t.Helper()
		reset(t, corp, "carol")
		for i, reason := range want {
			if _, err := d.Authenticate(t.Context(), "carol", directorytest.WrongPassword); err == nil || refusedFor(err) != reason {
				t.Errorf("attempt %d under the strict policy: %v, want %q", i, err, reason)
			}
		}
	}
	attempts(d, "", access.ReasonGuarded)
	strict := "CN=strict,CN=Password Settings Container,CN=System," + corp.BaseDN
	problems := findings(t, d, true)
	if len(problems) != 1 || problems[0].Setting != settingBindUser || !strings.Contains(problems[0].Problem, strict) {
		t.Errorf("findings: %+v", problems)
	}
	service := resolve(t, d, dormer.KindUser, "svc-dormer")
	corp.Tool(t, "dsacl", "set", "--objectdn="+strict, "--sddl=(A;;RP;;;"+service.Key+")")
	d = open(t, domainConfig(t, corp))
	attempts(d, "", "", access.ReasonGuarded)
	if problems := findings(t, d, true); len(problems) != 0 {
		t.Errorf("findings: %+v", problems)
	}
}

func TestOpenLDAPPolicies(t *testing.T) {
	server := testdomain.StartOpenLDAP(t)
	c := plainConfig(t, server)
	c.Domain = "example.test"
	d := open(t, c)
	checkHostile(t, d, server.Password(t, "alice"))
	if p, err := d.Authenticate(t.Context(), "alice@example.test", server.Password(t, "alice")); err != nil || p.Name != "alice" {
		t.Errorf("by the domain: %+v, %v", p, err)
	}
	for range 4 { // the fifth locks, and says so
		if _, err := d.Authenticate(t.Context(), "bob", directorytest.WrongPassword); !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Errorf("a wrong password: %v", err)
		}
	}
	for _, password := range []string{directorytest.WrongPassword, server.Password(t, "bob")} {
		if _, err := d.Authenticate(t.Context(), "bob", password); refusedFor(err) != access.ReasonLocked {
			t.Errorf("after five wrong passwords: %v", err)
		}
	}

	// Two of one name: neither is guessed.
	server.Add(t, "dn: uid=alice,ou=groups,"+server.BaseDN+"\nobjectClass: inetOrgPerson\nuid: alice\ncn: Another\nsn: Alice\nuserPassword: another\n")
	for _, password := range []string{"another", server.Password(t, "alice")} {
		if _, err := d.Authenticate(t.Context(), "alice", password); !errors.Is(err, dormer.ErrUnauthenticated) {
			t.Errorf("one of two accounts of one name: %v", err)
		}
	}
	_, err := d.Resolve(t.Context(), dormer.KindUser, "alice")
	if two, ok := errors.AsType[*access.AmbiguousError](err); !ok || len(two.Candidates) != 2 {
		t.Errorf("resolve one of two: %v", err)
	}
}

// Nobody follows a server's advice to ask another one.
func TestReferrals(t *testing.T) {
	server := testdomain.StartOpenLDAP(t)
	asked := make(chan struct{}, 100)
	elsewhere := listen(t, "127.0.0.1", func(c net.Conn) {
		asked <- struct{}{}
		_ = c.Close()
	})
	server.Add(t, fmt.Sprintf("dn: ou=elsewhere,%s\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nref: ldap://%s/ou=elsewhere,%[1]s\n",
		server.BaseDN, elsewhere))
	d := open(t, plainConfig(t, server))
	if p, err := d.Authenticate(t.Context(), "alice", server.Password(t, "alice")); err != nil || p.Name != "alice" {
		t.Errorf("beside a referral: %+v, %v", p, err)
	}
	if _, err := d.Resolve(t.Context(), dormer.KindUser, "somebody"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("somebody who would be there: %v", err)
	}
	c := plainConfig(t, server)
	c.BaseDN = "ou=people,ou=elsewhere," + server.BaseDN
	_, err := open(t, c).Resolve(t.Context(), dormer.KindUser, "alice")
	must(t, "a base elsewhere", err, dormer.ErrUnavailable, "base: ", "Referral")
	if len(asked) != 0 {
		t.Errorf("the other server was asked %d times", len(asked))
	}
}

// Groups that name their members by account name.
func TestMembersByName(t *testing.T) {
	server := testdomain.StartOpenLDAP(t)
	server.Add(t, fmt.Sprintf("dn: %s\nobjectClass: posixGroup\ncn: unix\ngidNumber: 1000\nmemberUid: alice\nmemberUid: unix-outer\n\n"+
		"dn: %s\nobjectClass: posixGroup\ncn: unix-outer\ngidNumber: 1001\nmemberUid: unix\n", server.GroupDN("unix"), server.GroupDN("unix-outer")))
	c := plainConfig(t, server)
	c.GroupFilter, c.Member = "(objectClass=posixGroup)", "memberUid"
	d := open(t, c)
	alice := resolve(t, d, dormer.KindUser, "alice")
	if got := groupsOf(t, d, alice); !slices.Equal(got, []string{"unix"}) {
		t.Errorf("groups %q", got)
	}
	chain, err := d.Chain(t.Context(), alice, resolve(t, d, dormer.KindGroup, "unix"))
	if err != nil || len(chain) != 1 {
		t.Errorf("chain %+v, %v", chain, err)
	}
	// The member unix of unix-outer is a user of that name.
	if chain, err := d.Chain(t.Context(), resolve(t, d, dormer.KindGroup, "unix"), resolve(t, d, dormer.KindGroup, "unix-outer")); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("chain from a group %+v, %v", chain, err)
	}
	if got := groupsOf(t, d, resolve(t, d, dormer.KindUser, "bob")); len(got) != 0 {
		t.Errorf("groups of somebody else %q", got)
	}
}

// More than the server gives at once, groups in a circle, and a deep nest.
func TestMany(t *testing.T) {
	server := testdomain.StartOpenLDAP(t)
	const users, deep = 1300, 80
	var entries strings.Builder
	for i := range users {
		fmt.Fprintf(&entries, "dn: uid=many-%04d,ou=people,%s\nobjectClass: inetOrgPerson\nuid: many-%04[1]d\ncn: Many %04[1]d\nsn: Many\n\n", i, server.BaseDN)
	}
	below := server.DN("many-0000")
	for i := range deep {
		fmt.Fprintf(&entries, "dn: %s\nobjectClass: groupOfNames\ncn: nest-%02d\nmember: %s\n\n", server.GroupDN(fmt.Sprintf("nest-%02d", i)), i, below)
		below = server.GroupDN(fmt.Sprintf("nest-%02d", i))
	}
	fmt.Fprintf(&entries, "dn: %s\nchangetype: modify\nadd: member\nmember: %s\n", server.GroupDN("nest-00"), server.GroupDN("nest-05"))
	server.Add(t, entries.String())
	d := open(t, plainConfig(t, server))
	found, err := d.Find(t.Context(), "many-", users+100)
	if err != nil || len(found) != users || found[0].Principal.Name != "many-0000" || found[users-1].Principal.Name != fmt.Sprintf("many-%04d", users-1) {
		t.Errorf("%d found, %v", len(found), err)
	}
	for _, limit := range []int{1, 499, 500, 501, 1000} {
		found, err := d.Find(t.Context(), "many-", limit)
		if err != nil || len(found) != limit || found[limit-1].Principal.Name != fmt.Sprintf("many-%04d", limit-1) {
			t.Errorf("limit %d: %d found, %v", limit, len(found), err)
		}
	}
	first := resolve(t, d, dormer.KindUser, "many-0000")
	got := groupsOf(t, d, first)
	if len(got) != MaxDepth || !slices.Contains(got, "nest-00") || slices.Contains(got, fmt.Sprintf("nest-%02d", MaxDepth)) {
		t.Errorf("%d groups: %q", len(got), got)
	}
	chain, err := d.Chain(t.Context(), first, resolve(t, d, dormer.KindGroup, "nest-20"))
	if err != nil || len(chain) != 21 {
		t.Errorf("chain of %d, %v", len(chain), err)
	}
}
