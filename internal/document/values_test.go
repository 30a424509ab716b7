package document

import (
	"testing"
	"time"
)

func TestDurationAndSize(t *testing.T) {
	for in, want := range map[string]string{
		"30m": "30m", "8h": "8h", "3d": "3d", "1d12h": "36h", "90m": "90m", "60m": "1h", "0s": "0s", "24h": "1d", "1h30m": "90m",
		"": "", "8": "", "h": "", "8 h": "", "1h1h": "", "1m1h": "", "-1h": "", "1.5h": "", "1w": "", "999999999d": "", "8H": "", "3660d": "3660d", "3661d": "",
	} {
		d, err := ParseDuration(in)
		if (err == nil) != (want != "") || err == nil && d.String() != want {
			t.Errorf("duration %q: %v, %v; want %q", in, d, err, want)
		}
	}
	for in, want := range map[string]string{
		"4GiB": "4GiB", "1024MiB": "1GiB", "1536MiB": "1536MiB", "0GiB": "0MiB", "2TiB": "2TiB", "1024TiB": "1PiB?",
		"": "", "4": "", "4GB": "", "4 GiB": "", "-1GiB": "", "1.5GiB": "", "1025TiB": "", "999999999TiB": "", "4gib": "",
	} {
		if want == "1PiB?" {
			want = "1024TiB"
		}
		s, err := parseSize(in)
		if (err == nil) != (want != "") || err == nil && s.String() != want {
			t.Errorf("size %q: %v, %v; want %q", in, s, err, want)
		}
	}
	if Duration(8*time.Hour).Duration() != 8*time.Hour || (3*GiB).MiB() != 3072 {
		t.Error("conversions")
	}
}
