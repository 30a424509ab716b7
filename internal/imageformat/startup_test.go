package imageformat_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
)

func startupProfile() *imageformat.StartupProfile {
	return &imageformat.StartupProfile{
		Disks:    []imageformat.StartupDisk{{Name: "system", Size: 10 * imageformat.BlockSize}, {Name: "more", Size: 512}},
		Complete: true, Took: 1500 * time.Millisecond,
		Reads: []imageformat.StartupRead{{Disk: 0, Block: 4, Blocks: 6}, {Disk: 1, Block: 0, Blocks: 1}, {Disk: 0, Block: 0, Blocks: 4}},
	}
}

func TestStartupProfile(t *testing.T) {
	want := startupProfile()
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	text := `{"format":"dormer/startup-profile.v1","disks":[{"name":"system","size":40960},{"name":"more","size":512}],"complete":true,"took_ms":1500,"reads":[[0,4,6],[1,0,1],[0,0,4]]}` + "\n"
	if string(b) != text {
		t.Errorf("the file is %s", b)
	}
	got, err := imageformat.DecodeStartupProfile(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Bytes() != 11*imageformat.BlockSize {
		t.Errorf("it covers %d bytes", got.Bytes())
	}
}

func TestStartupProfileRefuses(t *testing.T) {
	b, err := startupProfile().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, from, to string
		want           error
	}{
		{"another format", "profile.v1", "profile.v2", dormer.ErrUnsupported},
		{"unknown field", `"complete"`, `"compleat"`, dormer.ErrCorrupt},
		{"no such disk", "[1,0,1]", "[2,0,1]", dormer.ErrCorrupt},
		{"negative disk", "[1,0,1]", "[-1,0,1]", dormer.ErrCorrupt},
		{"huge disk number", "[1,0,1]", "[4294967296,0,1]", dormer.ErrCorrupt},
		{"beyond the end", "[1,0,1]", "[1,0,2]", dormer.ErrCorrupt},
		{"far beyond the end", "[0,4,6]", "[0,9223372036854775807,6]", dormer.ErrCorrupt},
		{"far too long", "[0,4,6]", "[0,4,9223372036854775807]", dormer.ErrCorrupt},
		{"nothing read", "[0,4,6]", "[0,4,0]", dormer.ErrCorrupt},
		{"read twice", "[0,0,4]", "[0,1,4]", dormer.ErrCorrupt},
		{"no disks", `[{"name":"system","size":40960},{"name":"more","size":512}]`, "[]", dormer.ErrCorrupt},
		{"disk without a size", `"size":512`, `"size":0`, dormer.ErrCorrupt},
		{"negative time", "1500", "-1", dormer.ErrCorrupt},
		{"more behind it", "}\n", "}{}\n", dormer.ErrCorrupt},
	} {
		text := strings.Replace(string(b), tt.from, tt.to, 1)
		if _, err := imageformat.DecodeStartupProfile([]byte(text)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := imageformat.DecodeStartupProfile(bytes.Repeat([]byte(" "), imageformat.MaxStartupProfile+1)); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func FuzzStartupProfile(f *testing.F) {
	b, err := startupProfile().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":"dormer/startup-profile.v1","disks":[{"name":"x","size":4096}],"complete":false,"took_ms":0,"reads":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := imageformat.DecodeStartupProfile(b)
		if err != nil {
			return
		}
		again, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		q, err := imageformat.DecodeStartupProfile(again)
		if err != nil || !cmp.Equal(p, q) {
			t.Errorf("%v, %s", err, cmp.Diff(p, q))
		}
	})
}
