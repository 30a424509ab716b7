package figure

import (
	"math"
	"testing"
)

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Number(0), "0"},
		{Counted(1, "person", "people"), "1 person"},
		{Counted(12_400, "person", "people"), "12,400 people"},
		{Counted(0.5, "core", "cores"), "0.5 cores"},
		{List(nil, 2), ""},
		{List([]string{"A"}, 2), "A"},
		{List([]string{"A", "B", "C"}, 2), "A, B and C"}, // one more is named: saying so is as long
		{List([]string{"A", "B", "C", "D"}, 2), "A, B and 2 more"},
		{Number(999), "999"},
		{Number(1000), "1,000"},
		{Number(12400), "12,400"},
		{Number(1234567890), "1,234,567,890"},
		{Number(5000 * 20 / 86400.0), "1.157"},
		{Number(0.02315), "0.02315"},
		{Number(12345.67), "12,346"},
		{Number(1234.5), "1,234"},
		{Number(-2.5), "-2.5"},
		{Number(0.5), "0.5"},
		{Number(math.Inf(1)), "without limit"},
		{Bytes(0), "0 B"},
		{Bytes(200), "200 B"},
		{Bytes(30_000), "30 kB"},
		{Bytes(7.3e9), "7.3 GB"},
		{Bytes(14.235e9), "14.2 GB"},
		{Bytes(999.9e6), "1 GB"},
		{Bytes(999.4e6), "999 MB"},
		{Bytes(1.5e13), "15 TB"},
		{Binary(4 << 30), "4 GiB"},
		{Binary(1536 << 20), "1.5 GiB"},
		{Binary(1000 << 20), "1,000 MiB"},
		{Rate(100e6), "100 Mbit/s"},
		{Rate(2.5e9), "2.5 Gbit/s"},
		{Rate(64_000), "64 kbit/s"},
		{Percent(0.15), "15 %"},
		{Percent(1), "100 %"},
		{Percent(0.125), "12.5 %"},
		{Duration(0), "0 s"},
		{Duration(0.1), "100 ms"},
		{Duration(0.0003), "0.3 ms"},
		{Duration(1.5), "1.5 s"},
		{Duration(59.9), "1 min"},
		{Duration(130), "2 min 10 s"},
		{Duration(3599.8), "1 h"},
		{Duration(7800), "2 h 10 min"},
		{Duration(7829), "2 h 10 min"},
		{Duration(86399), "1 day"},
		{Duration(86400 * 3), "3 days"},
		{Duration(86400 + 3600*4), "1 day 4 h"},
		{Duration(86400 * 365), "365 days"},
		{Duration(math.Inf(1)), "never"},
		{Clock(36_000), "10:00"},
		{Clock(86_400 + 59*60), "00:59 on day 2"},
		{Clients.Text(1), "1 client"},
		{Clients.Text(5001), "5,001 clients"},
		{Cores.Text(2), "2 cores"},
		{PerSec.Text(1.157407), "1.157 a second"},
		{Share.Text(0.3), "30 %"},
		{Size.Text(7.3e9), "7.3 GB"},
		{BitsASec.Text(1e9), "1 Gbit/s"},
		{Seconds.Text(60), "1 min"},
		{Count.Text(3), "3"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestAFormulaIsWorkedOutAndShown(t *testing.T) {
	// 5,000 x 20 x 200 x 365 = 7,300,000,000
	f := Work("events.rows", "Rows", Size, "{clients} x {events a day} x {bytes an event} x {days}", N(5000), N(20), In(Size, 200), N(365)).
		From(Classic, "the guide")
	want := Figure{
		Name: "events.rows", Title: "Rows", Value: 7.3e9, Unit: Size, Basis: Classic, Source: "the guide",
		Formula: "clients x events a day x bytes an event x days", Numbers: "5,000 x 20 x 200 B x 365",
	}
	if f != want {
		t.Errorf("%+v\nwant %+v", f, want)
	}
	if f.Text() != "7.3 GB" {
		t.Errorf("is written %q", f.Text())
	}
}

func TestFormulasFollowTheRulesOfArithmetic(t *testing.T) {
	for formula, want := range map[string]float64{
		"2 + 3 x 4":                      14,
		"(2 + 3) x 4":                    20,
		"10 - 4 - 3":                     3,
		"86,400 / 2":                     43200,
		"ceil(7.2)":                      8,
		"ceil((12,700 - 5,000) / 5,000)": 2,
		"floor(7.9) + round(2.5)":        10,
		"max(1, 7, 3)":                   7,
		"min(4, max(1, 2))":              2,
		"max(5)":                         5,
	} {
		if f := Work("n", "t", Count, formula); f.Value != want || f.Numbers != formula {
			t.Errorf("%s is %v (%s), want %v", formula, f.Value, f.Numbers, want)
		}
	}
	// The same words mean the same amount.
	f := Work("n", "t", Count, "{a} x {b} + {a}", N(3), N(5))
	if f.Value != 18 || f.Numbers != "3 x 5 + 3" || f.Formula != "a x b + a" {
		t.Errorf("%+v", f)
	}
}

func TestAFormulaThatCannotBeReadPanics(t *testing.T) {
	for _, formula := range []string{"{a}", "1 +", "(1", "1 2", "{a", "seven", ""} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was read", formula)
				}
			}()
			Work("n", "t", Count, formula)
		}()
	}
	defer func() {
		if recover() == nil {
			t.Error("an amount too many was taken")
		}
	}()
	Work("n", "t", Count, "{a}", N(1), N(2))
}
