package clientapi

import (
	"encoding/json"
	"testing"

	"github.com/dormer-project/dormer/internal/wire"
)

func FuzzDecodePoll(f *testing.F) {
	f.Add([]byte(`{"protocol":1,"nonce":"AAAAAAAAAAAAAAAAAAAAAA==","machines":[{"machine":"aaaaaaaaaaaaaaaaaaaaaaaaaa","serial":1,"state":"ready"}]}`))
	f.Add([]byte(`{"protocol":1,"nonce":"AAAAAAAAAAAAAAAAAAAAAA==","journal":"j","events":[{"seq":1,"event":{"code":1,"time":"2026-11-22T00:00:00Z"}}],"epoch":18446744073709551615}`))
	f.Add([]byte(`{"protocol":1e99,"machines":[{"serial":-1}]}`))
	f.Add([]byte(`[[[[`))
	f.Add([]byte(`{"protocol":1,"nonce":"AAAAAAAAAAAAAAAAAAAAAA==","journal":"j","events":[{"seq":1,"event":{"code":"x"}},{"seq":2,"event":7},{"seq":3,"event":{"time":"never"}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, malformed, err := decodePoll(b)
		if err != nil || checkPoll(&q) != nil {
			return
		}
		sequences := make(map[uint64]bool)
		for _, e := range q.Events {
			sequences[e.Sequence] = true
		}
		for _, m := range malformed {
			if !sequences[m.Sequence] || m.Reason == "" {
				t.Errorf("refused is %+v, which is not there or has no reason", m)
			}
		}
		if len(q.Sessions) > wire.MaxSessions || len(q.Machines) > wire.MaxMachines || len(q.Events) > wire.MaxEventsPerPoll || len(q.Nonce) != nonceSize {
			t.Errorf("a poll over the limits is taken: %d %d %d", len(q.Sessions), len(q.Machines), len(q.Events))
		}
		out, err := json.Marshal(q)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		var again wire.PollRequest
		if err := decode(out, &again); err != nil || checkPoll(&again) != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}

func FuzzDecodeSignIn(f *testing.F) {
	f.Add([]byte(`{"protocol":1,"user":"alice","password":"secret"}`))
	f.Add([]byte(`{"protocol":1,"code":"AQ"}`))
	f.Add([]byte(`{"protocol":1,"code":"AQ","user":"alice"}`))
	f.Add([]byte(`{"protocol":2,"code":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var q wire.SignInRequest
		if decode(b, &q) != nil || checkSignIn(&q) != nil {
			return
		}
		byCode := q.Code != "" && q.User == "" && q.Password == ""
		byPassword := q.Code == "" && q.User != "" && q.Password != ""
		if !byCode && !byPassword || len(q.User) > maxUserName || len(q.Password) > wire.MaxPasswordLength {
			t.Error("a sign-in that is neither by password nor by code is taken, or a long one")
		}
	})
}
