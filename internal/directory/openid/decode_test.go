package openid

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

func TestRedirect(t *testing.T) {
	bases := []string{"https://dormer.example.com", "https://other.example.com:8443/console/"}
	for _, good := range []string{
		"http://127.0.0.1:1/", "http://127.0.0.1:65535/callback", "http://[::1]:8080/", "http://127.0.0.1:80",
		"https://dormer.example.com/", "https://dormer.example.com/console/signed-in", "https://dormer.example.com",
		"https://other.example.com:8443/console/signed-in", "https://other.example.com:8443/console",
	} {
		if err := checkRedirect(good, bases); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "/", "callback", "http://", "http://127.0.0.1/", "http://127.0.0.1:/", "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:080/",
		"http://localhost:80/", "http://127.0.0.2:80/", "http://[::2]:80/", "http://127.0.0.1:80@elsewhere.example.com/", "http://user@127.0.0.1:80/",
		"https://127.0.0.1:80/", "http://dormer.example.com/", "https://dormer.example.com.elsewhere.example.com/", "https://dormer.example.com:444/",
		"https://elsewhere.example.com/", "https://elsewhere.example.com/https://dormer.example.com/", "https://dormer.example.com@elsewhere.example.com/",
		"https://dormer.example.com/../x", "https://dormer.example.com//elsewhere.example.com", `https://dormer.example.com\@elsewhere.example.com/`,
		"https://dormer.example.com/?a=b", "https://dormer.example.com/?", "https://dormer.example.com/#a", "https://dormer.example.com/%2e%2e/",
		"https://other.example.com:8443/", "https://other.example.com:8443/consolex", "https://other.example.com:8443/console/../x",
		"javascript:alert(1)", "https:dormer.example.com", "https:///dormer.example.com", "https://dormer.example.com/\n", "https://dormer.example.com/ä",
		"http://127.0.0.1:80/" + strings.Repeat("x", maxRedirect),
	} {
		if err := checkRedirect(bad, bases); err == nil {
			t.Errorf("%s: allowed", bad)
		}
	}
}

func FuzzRedirect(f *testing.F) {
	for _, s := range []string{
		"http://127.0.0.1:8080/callback", "http://[::1]:1/", "https://dormer.example.com/a/b", "https://dormer.example.com@x/", "http://127.0.0.1:80@x/",
		"https://dormer.example.com/..", "https://dormer.example.com/%2e", `http://127.0.0.1:1\.x/`, "HTTP://127.0.0.1:1/", "https://DORMER.example.com/a/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkRedirect(s, []string{"https://dormer.example.com/a"}) != nil {
			return
		}
		// What is allowed has one meaning: the one host, no dots, nothing before
		// the host and nothing behind the path.
		u, err := url.Parse(s)
		if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(s, "..") && strings.Contains(s, "/..") || strings.ContainsAny(s, "@\\%?# ") {
			t.Fatalf("allowed: %q", s)
		}
		if u.Scheme == "https" && (!strings.EqualFold(u.Host, "dormer.example.com") || u.Path != "/a" && !strings.HasPrefix(u.Path, "/a/")) {
			t.Fatalf("allowed: %q", s)
		}
		if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" || u.Port() == "") {
			t.Fatalf("allowed: %q", s)
		}
	})
}

func TestClaims(t *testing.T) {
	const document = `{
		"sub": "a-1", "preferred_username": "alice", "groups": ["staff", "office", "staff", "", "bell\u0007", "` + "long" + `"],
		"realm_access": {"roles": ["user"], "deep": {"er": "x"}}, "realm_access.literal": "y", "https://example.com/groups": "one", "nothing": null
	}`
	var c claims
	if err := json.Unmarshal([]byte(strings.Replace(document, "long", strings.Repeat("x", dormer.MaxName+1), 1)), &c); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"groups": {"office", "staff"}, "realm_access.roles": {"user"}, "https://example.com/groups": {"one"}, "nothing": nil, "absent": nil,
		"realm_access.literal": {"y"}, "realm_access.deep.er": {"x"}, "realm_access.": nil, ".": nil, "sub.x": nil,
	} {
		got, err := c.list(path)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"realm_access"} {
		if got, err := c.list(path); err == nil {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func FuzzClaims(f *testing.F) {
	for _, s := range []string{
		`{"sub":"a","preferred_username":"alice","groups":["a","b"]}`, `{"sub":"a","email":"a@example.com","groups":"x"}`, `{"sub":1}`, `{"sub":"a","groups":{"a":[]}}`,
		`{"sub":"a","_claim_names":{"groups":"s"}}`, `{"sub":"a","a":{"b":{"c":["d",1]}}}`, `{"sub":"\u0000"}`, `null`, `{"sub":"a","name":"\ud800"}`,
	} {
		f.Add(s, "groups")
		f.Add(s, "a.b.c")
	}
	f.Fuzz(func(t *testing.T, document, path string) {
		if len(document) > maxToken || len(path) > maxClaimPath || strings.Count(path, ".") > maxClaimDots {
			return
		}
		var c claims
		if json.Unmarshal([]byte(document), &c) != nil {
			return
		}
		p := &Provider{config: Config{GroupsClaim: path, UserClaim: path}.withDefaults()}
		if value, err := p.userClaim(c); err == nil && (value == "" || badName(value) != "") {
			t.Errorf("user claim %q", value)
		}
		who, err := p.person(c)
		if err != nil {
			return
		}
		if who.subject == "" || len(who.subject) > 4*maxSubject || who.name == "" || utf8.RuneCountInString(who.name) > dormer.MaxName || len(who.groups) > maxGroups || badName(who.display) != "" {
			t.Errorf("person %+v", who)
		}
		if !slices.IsSorted(who.groups) || slices.Contains(who.groups, "") {
			t.Errorf("groups %q", who.groups)
		}
		for _, s := range append(who.groups, who.name, who.subject) {
			if !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\n\x1b") {
				t.Errorf("name %q", s)
			}
		}
	})
}
