package guestwire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

func TestFrameRoundTrip(t *testing.T) {
	req := guestwire.ExecRequest{Args: []string{"/bin/echo", "grüße\n"}, Env: []string{"A=b"}, Timeout: time.Second}
	f, err := guestwire.NewFrame(guestwire.KindRequest, "s1", 7, guestwire.MethodExec, req)
	if err != nil {
		t.Fatal(err)
	}
	line, err := guestwire.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(line, []byte{'\n'}) != 1 {
		t.Fatalf("a frame must be one line: %q", line)
	}
	got, err := guestwire.NewReader(bytes.NewReader(line)).ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f, got); diff != "" {
		t.Error(diff)
	}
	var back guestwire.ExecRequest
	if err := guestwire.DecodeBody(got, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(req, back); diff != "" {
		t.Error(diff)
	}
}

// A reader finds the hello behind the half line of whoever had the port before.
func TestReaderRecovers(t *testing.T) {
	input := `{"kind":"answer","id":3,"bo` + "\n" + "\n" + `{"kind":"nonsense"}` + "\n" +
		strings.Repeat("x", guestwire.MaxFrame+100) + "\n" + `{"kind":"hello","session":"s"}` + "\n"
	r := guestwire.NewReader(strings.NewReader(input))
	var kinds []string
	for {
		f, err := r.ReadFrame()
		switch {
		case errors.Is(err, io.EOF):
			want := []string{"corrupt", "corrupt", "too large", "hello"}
			if diff := cmp.Diff(want, kinds); diff != "" {
				t.Error(diff)
			}
			return
		case errors.Is(err, dormer.ErrTooLarge):
			kinds = append(kinds, "too large")
		case errors.Is(err, dormer.ErrCorrupt):
			kinds = append(kinds, "corrupt")
		case err != nil:
			t.Fatal(err)
		default:
			kinds = append(kinds, string(f.Kind))
		}
	}
}

func TestEncodeRefusesLongFrames(t *testing.T) {
	f, err := guestwire.NewFrame(guestwire.KindAnswer, "s", 1, "", guestwire.ReadFileResult{Data: make([]byte, guestwire.MaxFrame)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guestwire.Encode(f); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

// The largest answers that the limits allow fit into a frame.
func TestLimitsFit(t *testing.T) {
	full := make([]byte, guestwire.MaxOutput)
	f, err := guestwire.NewFrame(guestwire.KindAnswer, "s", 1, "", guestwire.ExecResult{Stdout: full, Stderr: full})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guestwire.Encode(f); err != nil {
		t.Error(err)
	}
}

func TestNegotiate(t *testing.T) {
	tests := []struct {
		ours, theirs guestwire.Hello
		want         int
	}{
		{guestwire.Hello{Protocol: 1, Oldest: 1}, guestwire.Hello{Protocol: 1, Oldest: 1}, 1},
		{guestwire.Hello{Protocol: 3, Oldest: 2}, guestwire.Hello{Protocol: 2, Oldest: 1}, 2},
		{guestwire.Hello{Protocol: 2, Oldest: 1}, guestwire.Hello{Protocol: 9, Oldest: 2}, 2},
		{guestwire.Hello{Protocol: 3, Oldest: 2}, guestwire.Hello{Protocol: 1, Oldest: 1}, 0},
		{guestwire.Hello{Protocol: 1, Oldest: 1}, guestwire.Hello{Protocol: 3, Oldest: 2}, 0},
		{guestwire.Hello{Protocol: 1}, guestwire.Hello{}, 0},
	}
	for _, tt := range tests {
		got, err := guestwire.Negotiate(tt.ours, tt.theirs)
		if got != tt.want || (tt.want == 0) != errors.Is(err, dormer.ErrUnsupported) {
			t.Errorf("Negotiate(%+v, %+v) = %d, %v", tt.ours, tt.theirs, got, err)
		}
	}
}

func TestErrorKeepsKind(t *testing.T) {
	err := fmt.Errorf("mount: %w", dormer.ErrFull)
	back := guestwire.FromError(err).Err()
	if !errors.Is(back, dormer.ErrFull) || back.Error() != err.Error() {
		t.Errorf("got %v", back)
	}
	if guestwire.FromError(nil).Err() != nil {
		t.Error("nil must stay nil")
	}
	if err := (&guestwire.Error{Kind: "of-the-future", Message: "m"}).Err(); err == nil || errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if err := guestwire.FromError(dormer.Invalidf("args", "x")).Err(); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestExecRequestValidate(t *testing.T) {
	bad := []guestwire.ExecRequest{
		{},
		{Args: []string{""}},
		{Args: []string{"a\x00b"}},
		{Args: make([]string, guestwire.MaxArguments+1)},
		{Args: []string{"a"}, Env: []string{"NOVALUE"}},
		{Args: []string{"a"}, Env: []string{"=x"}},
		{Args: []string{"a"}, Timeout: -1},
		{Args: []string{"a"}, Timeout: guestwire.MaxTimeout + 1},
		{Args: []string{"a"}, Detach: true, Stream: true},
		{Args: []string{"a"}, Stdin: make([]byte, guestwire.MaxFile+1)},
	}
	for i, r := range bad {
		if err := r.Validate(); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("case %d: got %v", i, err)
		}
	}
	if err := (guestwire.ExecRequest{Args: []string{"a"}, Env: []string{"X="}}).Validate(); err != nil {
		t.Error(err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\n" + `{"kind":"hello","session":"a","body":{"protocol":1,"oldest":1,"capabilities":["exec"]}}` + "\n"))
	f.Add([]byte(`{"kind":"request","session":"a","id":1,"method":"exec","body":{"args":["x"]}}` + "\n"))
	f.Add([]byte(`{"kind":"answer","id":1,"error":{"kind":"full","message":"m"}}` + "\n{{{\n"))
	f.Add([]byte("\n\n\n\x00\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := guestwire.NewReader(bytes.NewReader(b))
		for {
			frame, err := r.ReadFrame()
			if err != nil {
				if guestwire.Recoverable(err) {
					continue
				}
				return
			}
			line, err := guestwire.Encode(frame)
			if err != nil {
				continue
			}
			again, err := guestwire.Decode(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				t.Fatalf("encoded frame does not decode: %v: %q", err, line)
			}
			if again.Kind != frame.Kind || again.ID != frame.ID || again.Method != frame.Method || again.Session != frame.Session {
				t.Fatalf("got %+v, want %+v", again, frame)
			}
			if frame.Kind == guestwire.KindRequest && frame.Method == guestwire.MethodExec {
				var req guestwire.ExecRequest
				if guestwire.DecodeBody(frame, &req) == nil {
					_ = req.Validate()
				}
			}
		}
	})
}

// What a guest says of itself goes on to logs, events and the server.
func TestBounds(t *testing.T) {
	long := strings.Repeat("x\x1b", 1<<20)
	many := slices.Repeat([]string{long}, 10_000)
	st := guestwire.Status{Hostname: long, System: long, Users: many, Mounted: many, DefaultUser: long, SignedOn: long, Idle: -1, Uptime: -1, Applications: -1}.Bounded()
	if b, err := json.Marshal(st); err != nil || len(b) > 64<<10 || bytes.ContainsRune(b, 0x1b) || st.Idle != 0 || st.Applications != 0 {
		t.Errorf("a status of %d bytes, %v", len(b), err)
	}
	h := guestwire.Hello{Software: long, System: long, Capabilities: slices.Repeat([]guestwire.Capability{"exec", guestwire.Capability(long)}, 10_000)}.Bounded()
	if b, err := json.Marshal(h); err != nil || len(b) > 32<<10 || !h.Has("exec") {
		t.Errorf("a hello of %d bytes, %v", len(b), err)
	}
	e := guestwire.Error{Kind: "denied", Message: long}
	if err := e.Err(); len(err.Error()) > 4096 || strings.ContainsRune(err.Error(), 0x1b) || !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	for in, want := range map[string]string{"straße": "straß", "a\nb": "a b", "\xff": "?", "": ""} {
		if got := guestwire.Printable(in, 6); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
