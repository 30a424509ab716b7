package enroll

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

var (
	testSecret    = base64.RawURLEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	testAuthority = strings.Repeat("0a", 32)
)

func encoded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestParseJoinToken(t *testing.T) {
	for _, want := range []Invitation{
		{URL: "https://dormer.example.com", Authority: SystemAuthority, Secret: testSecret},
		{URL: "https://[2001:db8::1]:8443/dormer", Authority: testAuthority, Secret: testSecret},
		{URL: "http://localhost:8080", Authority: SystemAuthority, Secret: testSecret},
	} {
		got, err := ParseJoinToken(" " + want.String() + "\n")
		if err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("parsed differently (-want +got):\n%s", d)
		}
	}
}

func TestParseJoinTokenRefuses(t *testing.T) {
	good := encoded("https://dormer.example.com")
	for name, s := range map[string]string{
		"empty":                "",
		"other form":           "dormer2." + good + ".system." + testSecret,
		"cut":                  "dormer1." + good + ".system",
		"more parts":           "dormer1." + good + ".system." + testSecret + ".x",
		"URL not base64":       "dormer1.%%%.system." + testSecret,
		"URL padded":           "dormer1." + base64.URLEncoding.EncodeToString([]byte("https://dormer.example.com/")) + "=.system." + testSecret,
		"file URL":             "dormer1." + encoded("file:///etc/passwd") + ".system." + testSecret,
		"URL with a password":  "dormer1." + encoded("https://a:b@example.com") + ".system." + testSecret,
		"URL with a query":     "dormer1." + encoded("https://example.com/?a") + ".system." + testSecret,
		"URL without a host":   "dormer1." + encoded("https://") + ".system." + testSecret,
		"authority cut":        "dormer1." + good + "." + testAuthority[2:] + "." + testSecret,
		"authority upper case": "dormer1." + good + "." + strings.ToUpper(testAuthority) + "." + testSecret,
		"secret cut":           "dormer1." + good + ".system." + testSecret[1:],
		"long":                 "dormer1." + strings.Repeat("A", 5000) + ".system." + testSecret,
	} {
		_, err := ParseJoinToken(s)
		if !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), testSecret[5:]) {
			t.Errorf("%s: the error repeats the secret", name)
		}
	}
}

func FuzzParseJoinToken(f *testing.F) {
	f.Add(Invitation{URL: "https://dormer.example.com", Authority: SystemAuthority, Secret: testSecret}.String())
	f.Add("dormer1...")
	f.Add("dormer1." + encoded("https://x") + "." + testAuthority + "." + testSecret)
	f.Fuzz(func(t *testing.T, s string) {
		i, err := ParseJoinToken(s)
		if err != nil {
			return
		}
		again, err := ParseJoinToken(i.String())
		if err != nil || again != i {
			t.Errorf("what was parsed is not parsed again: %v", err)
		}
	})
}

func FuzzVerify(f *testing.F) {
	s := &Service{instance: "i", key: make([]byte, KeySize), now: func() time.Time { return time.Unix(1_800_000_000, 0) }}
	token, _ := s.makeToken("aaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Add(token)
	f.Add("")
	f.Add(strings.Repeat("A", len(token)))
	f.Fuzz(func(t *testing.T, text string) {
		id, err := s.Verify(text)
		if (err == nil) != (text == token) || (err == nil && id != "aaaaaaaaaaaaaaaaaaaaaaaaaa") {
			t.Errorf("token %q: client %q, %v", text, id, err)
		}
	})
}

func TestJoinRequest(t *testing.T) {
	s := &Service{}
	good := JoinRequest{Name: "third floor", URL: "https://x", Authority: SystemAuthority, AdmitsManaged: true, MaxUses: 1, Lifetime: time.Hour}
	for _, test := range []struct {
		path   string
		change func(*JoinRequest)
	}{
		{"managed", func(r *JoinRequest) { r.AdmitsManaged = false }},
		{"max_uses", func(r *JoinRequest) { r.MaxUses = 0 }},
		{"max_uses", func(r *JoinRequest) { r.MaxUses = MaxJoinUses + 1 }},
		{"lifetime_hours", func(r *JoinRequest) { r.Lifetime = 0 }},
		{"lifetime_hours", func(r *JoinRequest) { r.Lifetime = MaxJoinLifetime + 1 }},
		{"name", func(r *JoinRequest) { r.Name = "a\nb" }},
		{"name", func(r *JoinRequest) { r.Name = " \t" }},
	} {
		r := good
		test.change(&r)
		_, _, err := s.CreateJoinToken(t.Context(), r)
		invalid, ok := errors.AsType[*dormer.InvalidError](err)
		if !ok || invalid.Fields[0].Path != test.path {
			t.Errorf("%s: %v", test.path, err)
		}
	}
}

func TestSpentChallenges(t *testing.T) {
	var u spent
	now := time.Unix(1_800_000_000, 0)
	challenge := func(b byte) []byte { return append(make([]byte, 15), b) }
	if !u.use(challenge(1), now) || u.use(challenge(1), now) {
		t.Error("a challenge counts once")
	}
	// It is remembered for at least as long as it could be answered.
	if u.use(challenge(1), now.Add(ChallengeLifetime)) {
		t.Error("forgotten too early")
	}
	for i := range 3 {
		u.use(challenge(2), now.Add(time.Duration(i+1)*2*ChallengeLifetime))
	}
	if len(u.now)+len(u.last) > 2 {
		t.Error("nothing is ever forgotten")
	}
}
