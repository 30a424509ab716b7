package policy

import (
	"testing"
	"time"
)

// TestDateEndsAtTheEndOfTheDay: in every zone, on every day, also where clocks
// change at midnight, a date ends with the last instant at which clocks show it.
func TestDateEndsAtTheEndOfTheDay(t *testing.T) {
	for _, zone := range []string{
		"UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Santiago", "America/Havana", "Asia/Beirut", "Africa/Cairo",
		"Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Chatham", "America/St_Johns",
	} {
		where, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		shown := func(at time.Time) string { return at.In(where).Format(time.DateOnly) }
		for day := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC); day.Year() < 2028; day = day.AddDate(0, 0, 1) {
			d := Date{Year: day.Year(), Month: day.Month(), Day: day.Day()}
			name := day.Format(time.DateOnly)
			for _, d := range []Date{d, {Year: d.Year, Month: d.Month, Day: d.Day, Zone: zone}} {
				instance := where
				if d.Zone != "" {
					instance = time.UTC
				}
				end, err := d.End(instance)
				if err != nil {
					t.Fatal(err)
				}
				if last, first := shown(end.Add(-time.Nanosecond)), shown(end); last != name || first <= name {
					t.Errorf("%s: %s ends at %s, before which clocks show %s and at which %s", zone, d, end.UTC(), last, first)
				}
				// Nobody is shown the day once more.
				if again := shown(end.Add(3 * time.Hour)); again <= name {
					t.Errorf("%s: %s is shown again after its end", zone, d)
				}
			}
		}
	}
}
