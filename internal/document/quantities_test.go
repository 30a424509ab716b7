package document

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	for in, want := range map[string]string{
		"10Mbit/s": "10Mbit/s", "512kbit/s": "512kbit/s", "1Gbit/s": "1Gbit/s", "2.5Gbit/s": "2.5Gbit/s", "2500Mbit/s": "2.5Gbit/s", "1000kbit/s": "1Mbit/s",
		"0.5Mbit/s": "500kbit/s", "1.500Mbit/s": "1.5Mbit/s", "1001.5kbit/s": "1001.5kbit/s", "0kbit/s": "0kbit/s", "0.001kbit/s": "0.001kbit/s", "0.25kbit/s": "0.25kbit/s",
		"100000Gbit/s": "100000Gbit/s", "1000000Gbit/s": "1000000Gbit/s", "1000001Gbit/s": "", "1000000.001Gbit/s": "",
		"": "", "10": "", "10Mbit": "", "10MBit/s": "", "10 Mbit/s": "", "-1Mbit/s": "", "1.0001Mbit/s": "", ".5Mbit/s": "", "1.Mbit/s": "", "10Mb/s": "", "1e3Mbit/s": "",
	} {
		r, err := parseRate(in)
		if (err == nil) != (want != "") || err == nil && r.String() != want {
			t.Errorf("%q: %v, %v; want %q", in, r, err, want)
		}
	}
	if r, err := parseRate("2.5Gbit/s"); err != nil || r != 2_500_000_000 {
		t.Errorf("%d, %v", r, err)
	}
}

func TestLatency(t *testing.T) {
	for in, want := range map[string]string{
		"40ms": "40ms", "1500us": "1500us", "2000us": "2ms", "1s": "1s", "1000ms": "1s", "0ms": "0ms", "0s": "0ms", "3600s": "3600s",
		"3601s": "", "": "", "40": "", "40 ms": "", "1.5ms": "", "-1ms": "", "1m": "", "40MS": "",
	} {
		l, err := parseLatency(in)
		if (err == nil) != (want != "") || err == nil && l.String() != want {
			t.Errorf("%q: %v, %v; want %q", in, l, err, want)
		}
	}
	if l, err := parseLatency("40ms"); err != nil || l.Duration() != 40*time.Millisecond {
		t.Errorf("%v, %v", l, err)
	}
}

func TestPercent(t *testing.T) {
	for in, want := range map[string]string{
		"0%": "0%", "30%": "30%", "1000%": "1000%", "030%": "30%", "1001%": "", "": "", "30": "", "30 %": "", "-1%": "", "1.5%": "", "%": "",
	} {
		p, err := parsePercent(in)
		if (err == nil) != (want != "") || err == nil && p.String() != want {
			t.Errorf("%q: %v, %v; want %q", in, p, err, want)
		}
	}
}

// FuzzWritten: what a value reads it writes in a form that it reads as the
// same, that does not change any more, and that fits its pattern.
func FuzzWritten(f *testing.F) {
	for _, s := range []string{"8h", "1d12h", "4GiB", "2.5Gbit/s", "1001.5kbit/s", "0.001kbit/s", "40ms", "1500us", "30%", "0s", "0MiB", "0kbit/s", "999999999.999Mbit/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, zero := range []Written{Duration(0), Size(0), Rate(0), Latency(0), Percent(0)} {
			fresh := func() (reflect.Value, encoding.TextUnmarshaler) {
				v := reflect.New(reflect.TypeOf(zero))
				u, ok := v.Interface().(encoding.TextUnmarshaler)
				if !ok {
					t.Fatalf("%T is not read from text", zero)
				}
				return v, u
			}
			v, u := fresh()
			if u.UnmarshalText([]byte(s)) != nil {
				continue
			}
			if !regexp.MustCompile(zero.Pattern()).MatchString(s) {
				t.Errorf("%T reads %q, which does not fit its pattern", zero, s)
			}
			text := fmt.Sprint(v.Elem().Interface())
			again, u := fresh()
			if err := u.UnmarshalText([]byte(text)); err != nil || v.Elem().Int() != again.Elem().Int() {
				t.Errorf("%T: %q is written %q and read as %v, %v", zero, s, text, again.Elem(), err)
			}
			if next := fmt.Sprint(again.Elem().Interface()); next != text {
				t.Errorf("%T: %q is written %q, then %q", zero, s, text, next)
			}
		}
	})
}
