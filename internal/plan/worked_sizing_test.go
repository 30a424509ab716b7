package plan_test

import (
	"math"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
	"github.com/dormer-project/dormer/internal/plan/sizing"
)

// These cases are worked by hand; each comment derives the numbers from the
// formulas. Decimal units, as in the guide: 1 GB is 1,000,000,000 bytes.

// sizesOf reads an organization from what spec has beside the one image and
// the one workspace of each case that names none, and sizes its instances.
func sizesOf(t *testing.T, spec string) ([]placement.Instance, []sizing.Instance) {
	t.Helper()
	m := modelOf(t, spec, "[{name: office, packed: 4GiB}]", "[{name: Office, image: office, offline: 3d}]")
	p := placed(t, m)
	sizes, err := sizing.Size(t.Context(), m, p)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sizes {
		if sizes[i].Name != p.Instances[i].Name {
			t.Fatalf("size %d is of %s, want %s", i, sizes[i].Name, p.Instances[i].Name)
		}
	}
	return p.Instances, sizes
}

// onlySize is that of a case with one instance.
func onlySize(t *testing.T, spec string) sizing.Instance {
	t.Helper()
	_, sizes := sizesOf(t, spec)
	if len(sizes) != 1 {
		t.Fatalf("%d instances, want one", len(sizes))
	}
	return sizes[0]
}

// is holds a figure against its value and its numbers.
func is(t *testing.T, list []figure.Figure, name string, want float64, numbers string) {
	t.Helper()
	for _, f := range list {
		if f.Name != name {
			continue
		}
		if math.Abs(f.Value-want) > 1e-12*math.Abs(want) {
			t.Errorf("%s is %v, want %v", name, f.Value, want)
		}
		if numbers != "" && f.Numbers != numbers {
			t.Errorf("%s is shown as %q, want %q", name, f.Numbers, numbers)
		}
		if f.Title == "" || f.Basis == "" {
			t.Errorf("%s has the title %q and the basis %q", name, f.Title, f.Basis)
		}
		return
	}
	t.Errorf("there is no figure %s", name)
}

// says reports whether one of the texts has all words.
func says(texts []string, words ...string) bool {
	for _, s := range texts {
		all := true
		for _, w := range words {
			all = all && strings.Contains(s, w)
		}
		if all {
			return true
		}
	}
	return false
}

const fiveThousand = "  sites: [{name: Berlin, country: DE, people: [{users: 5000}]}]"

func TestEventsOfFiveThousandClients(t *testing.T) {
	s := onlySize(t, fiveThousand)
	f := s.Events.Figures
	// 5,000 clients x 20 events a day x 200 bytes x 365 days = 7,300,000,000 bytes = 7.3 GB.
	is(t, f, "events.rows", 7_300_000_000, "5,000 x 20 x 200 B x 365")
	// Bursts of errors, half as much again: 3.65 GB.
	is(t, f, "events.bursts", 3_650_000_000, "7.3 GB x 50 %")
	// Tables, 30 % of both: 0.3 x 10.95 GB = 3.285 GB.
	is(t, f, "events.overhead", 3_285_000_000, "(7.3 GB + 3.65 GB) x 30 %")
	// 7.3 x 1.5 x 1.3 = 14.235 GB.
	is(t, f, "events.bytes", 14_235_000_000, "7.3 GB x (1 + 50 %) x (1 + 30 %)")
	if s.Events.Bytes != 14_235_000_000 {
		t.Errorf("the events database takes %d bytes", s.Events.Bytes)
	}
	// 5,000 x 20 x 365 = 36,500,000 events: SQLite takes some tens of millions.
	is(t, f, "events.stored", 36_500_000, "5,000 x 20 x 365")
	if s.Events.Kind != organization.SQLite || s.Events.Place != organization.PlaceServer {
		t.Errorf("events are on %s, %s", s.Events.Kind, s.Events.Place)
	}
	// Rows of Dormer on SQLite with bursts: 36,500,000 x 145 x 1.5 = 7,938,750,000.
	is(t, f, "events.measured", 7_938_750_000, "5,000 x 20 x 145 B x 365 x (1 + 50 %)")
}

func TestSafetyFactorsOfTheFile(t *testing.T) {
	// 1,000 x 15 x 250 x 100 = 375,000,000; bursts 100 %: as much again; tables
	// 20 % of 750,000,000 = 150,000,000; in all 900,000,000.
	s := onlySize(t, `  sites: [{name: Berlin, people: [{users: 1000}]}]
  events: {perDay: 15, bytes: 250, keep: 100d, bursts: 100%, overhead: 20%}`)
	is(t, s.Events.Figures, "events.rows", 375_000_000, "1,000 x 15 x 250 B x 100")
	is(t, s.Events.Figures, "events.bursts", 375_000_000, "")
	is(t, s.Events.Figures, "events.overhead", 150_000_000, "")
	is(t, s.Events.Figures, "events.bytes", 900_000_000, "")
}

func TestWritesASecond(t *testing.T) {
	f := onlySize(t, fiveThousand+"\n  consoles: [{site: Berlin, operators: 3, reports: 12}]").Events.Figures
	// 5,000 x 20 / 86,400 = 1.157 events a second.
	is(t, f, "events.writes.average", 5000*20/86400.0, "5,000 x 20 / 86,400")
	if v := figure.Find(f, "events.writes.average"); v.Text() != "1.157 a second" {
		t.Errorf("the average is written %q", v.Text())
	}
	// All of them in 8 hours, with half as much again: 150,000 / 28,800 = 5.2083.
	is(t, f, "events.writes.peak", 150_000/28_800.0, "5,000 x 20 x (1 + 50 %) / (8 x 3,600)")
	// 3 operators x 12 an hour = 36 reports in 3,600 s; each has a row for each of
	// 5,000 clients: 0.01 x 5,000 = 50 rows a second.
	is(t, f, "events.reports", 0.01, "36 / 3,600")
	is(t, f, "events.reports.rows", 50, "0.01 x 5,000")
	// 5.2083 + 50.
	is(t, f, "events.operations", 150_000/28_800.0+50, "")
}

func TestPollsWriteInBulk(t *testing.T) {
	// 5,000 clients, each once in 60 s: 83.33 rows a second.
	is(t, onlySize(t, fiveThousand).State.Figures, "state.writes", 5000/60.0, "5,000 / 60")
}

func TestDiskForWorkspaces(t *testing.T) {
	instances, sizes := sizesOf(t, `  sites:
    - name: Berlin
      people: [{users: 900}, {users: 50, network: Laboratory}]
  networks: [{name: Laboratory}]
  images: [{name: office, packed: 4GiB}, {name: build, packed: 6GiB}]
  workspaces:
    - {name: Office, image: office, policies: 4}
    - {name: Build, image: build, policies: 2}
    - {name: Bench, image: build, who: {networks: [Laboratory]}}`)
	// Office has 4 policies, Build 2; Bench, with 1, is for the laboratory alone.
	// The laboratory: 4 + 2 + 1 = 7, 7 x 30,000 = 210,000 bytes; the others: 6,
	// 180,000 bytes. Nobody is in the network of the others, so Bench is not there.
	for i, s := range sizes {
		want := 6.0
		if instances[i].NetworkName == "Laboratory" {
			want = 7
		}
		is(t, s.Server.Figures, "server.workspaces", want, "")
		is(t, s.Server.Figures, "server.disk.classic", 30_000*want, "")
	}
	if len(sizes) != 2 {
		t.Errorf("%d instances, want two", len(sizes))
	}
}

func TestServerByBothRules(t *testing.T) {
	s := onlySize(t, fiveThousand).Server
	// By the guide 2 cores and 2 GB, and as much again for the database on it.
	is(t, s.Figures, "server.cores.classic", 4, "2 + 2")
	is(t, s.Figures, "server.memory.classic", 4<<30, "2 GiB + 2 GiB")
	// Busy: polls 5,000 / 60 / 1,290 = 0.064599; events 5.2083 x 63.7 microseconds =
	// 0.000332; reports 12 / 3,600 x 0.46 = 0.001533. In all 0.0665: one core.
	is(t, s.Figures, "server.load", 5000/60.0/1290+150_000/28_800.0*63.7e-6+12/3600.0*0.46, "")
	is(t, s.Figures, "server.cores.measured", 1, "")
	// 536,870,912 + 67,000,000 + 5,000 x 1,000 + 50,000 x 1,000 + 67,108,864 =
	// 725,979,776; / 0.75 = 968 million, so one GiB.
	is(t, s.Figures, "server.memory.needed", 725_979_776, "")
	is(t, s.Figures, "server.memory.measured", 1<<30, "")
	// The larger of each.
	if s.Cores != 4 || s.Memory != 4<<30 || !s.Virtual {
		t.Errorf("%d cores, %d bytes of memory, virtual %t", s.Cores, s.Memory, s.Virtual)
	}
	if want := "4 cores at 2.8 GHz, 4 GiB of memory, 30 kB of disk for 1 workspace"; s.Classic != want {
		t.Errorf("the guide's computer is %q, want %q", s.Classic, want)
	}
}

func TestStateAndDisk(t *testing.T) {
	s := onlySize(t, fiveThousand)
	// 5,000 clients x 304 + 5,000 users x 830 + 5,000 machines x 722 = 9,280,000.
	is(t, s.State.Figures, "state.rows", 9_280_000, "5,000 x 304 B + 5,000 x 830 B + 5,000 x 722 B")
	// One workspace x 100 revisions x 4,178 = 417,800.
	is(t, s.State.Figures, "state.workspaces", 417_800, "")
	// 200 records a day x 228 bytes x 1,825 days = 83,220,000.
	is(t, s.State.Figures, "state.audit", 83_220_000, "")
	// (9,280,000 + 417,800 + 83,220,000 + 384,186) x 2 = 186,603,972.
	is(t, s.State.Figures, "state.bytes", 186_603_972, "")
	// 10 GB + 47,952,034 + 186,603,972 + 14,235,000,000 + 1 GB, of which 90 % may be
	// full: 25,469,556,006 / 0.9 = 28,299,506,673.
	is(t, s.Server.Figures, "server.disk", 25_469_556_006/0.9, "")
	// A backup has both databases: 186,603,972 + 14,235,000,000.
	is(t, s.Availability.Figures, "availability.backup", 14_421_603_972, "")
}

func TestMeasuredHardwareCounts(t *testing.T) {
	// 12,000 clients on hardware that was measured to hold 20,000: one instance,
	// on that hardware, whatever the guide says.
	s := onlySize(t, `  sites: [{name: Berlin, people: [{users: 12000}]}]
  capacity: {clients: 20000, hardware: "6 cores, 12 GB", cores: 6, memory: 12GiB}`).Server
	if s.Cores != 6 || s.Memory != 12<<30 {
		t.Errorf("%d cores, %d bytes of memory", s.Cores, s.Memory)
	}
	if f := figure.Find(s.Figures, "server.cores"); f.Basis != figure.Measured || !strings.Contains(f.Source, "6 cores, 12 GB") {
		t.Errorf("%+v", f)
	}
}

func TestMeasuredHardwareThatCannotHoldIt(t *testing.T) {
	// 100,000 clients that poll every 5 s: 100,000 / 5 / 1,290 = 15.5 cores for
	// polls alone, on 4.
	s := onlySize(t, `  sites: [{name: Berlin, people: [{users: 100000}]}]
  service: {poll: 5s}
  capacity: {clients: 100000, cores: 4, memory: 8GiB}`)
	if s.Server.Cores != 4 || !says(s.Advice, "100,000 clients", "16 cores", "4 cores") {
		t.Errorf("%d cores, advice %q", s.Server.Cores, s.Advice)
	}
}

func TestManyEventsASecondNeedAComputerOfTheirOwn(t *testing.T) {
	// 200,000 x 200 events a day x 1.5 / (8 x 3,600) = 2,083 a second at peak, more
	// than a tenth of the 12,841 that PostgreSQL was measured to take.
	const spec = `  sites: [{name: Berlin, people: [{users: 200000}]}]
  capacity: {clients: 200000, cores: 32, memory: 64GiB}
  events: {perDay: 200, keep: 30d`
	if s := onlySize(t, spec+"}"); s.Server.Virtual || !says([]string{s.Server.Kind}, "dedicated", "2,083", "12,841") {
		t.Errorf("%q", s.Server.Kind)
	}
	// Elsewhere it does not burden the server.
	if s := onlySize(t, spec+", place: remote}"); !s.Server.Virtual || s.Events.Site != "Berlin" {
		t.Errorf("%q, events at %s", s.Server.Kind, s.Events.Site)
	}
}

func TestManyEventsNeedPostgreSQL(t *testing.T) {
	// 5,000 x 30 x 365 = 54,750,000 events, more than the 50,000,000 of SQLite.
	s := onlySize(t, fiveThousand+"\n  events: {perDay: 30}")
	if s.Events.Kind != organization.PostgreSQL || s.Events.Place != organization.PlaceServer {
		t.Errorf("events are on %s, %s", s.Events.Kind, s.Events.Place)
	}
	if !says(s.Events.Reasons, "54,750,000", "50,000,000") {
		t.Errorf("reasons: %q", s.Events.Reasons)
	}
	// 54,750,000 x 195 bytes x 1.5 = 16,014,375,000.
	is(t, s.Events.Figures, "events.measured", 16_014_375_000, "5,000 x 30 x 195 B x 365 x (1 + 50 %)")
}

const berlinAndLima = `  sites:
    - {name: Berlin, country: DE, people: [{users: 5000}]}
    - {name: Lima, country: PE}
`

func TestDatabaseOverASlowLink(t *testing.T) {
	s := onlySize(t, berlinAndLima+`
  links: [{from: Berlin, to: Lima, bandwidth: 10Mbit/s, latency: 100ms}]
  events: {site: Lima}`)
	if s.Events.Kind != organization.PostgreSQL || s.Events.Place != organization.PlaceRemote || s.Events.Site != "Lima" {
		t.Errorf("events are on %s, %s at %s", s.Events.Kind, s.Events.Place, s.Events.Site)
	}
	f := s.Events.Figures
	// 5 round trips x 0.1 s + 5 ms = 0.505 s.
	is(t, f, "events.link.commit", 0.505, "5 x 100 ms + 5 ms")
	// 1 / 0.505 = 1.9802 transactions, of at most 5,000 events: 9,901 a second, fewer
	// than the 12,841 that PostgreSQL takes.
	is(t, f, "events.link.commits", 1/0.505, "")
	is(t, f, "events.link.events", 5000/0.505, "")
	// 5.2083 x 200 bytes x 2 x 8 = 16,667 bit/s.
	is(t, f, "events.link.bandwidth", 150_000/28_800.0*200*2*8, "")
	// A report: 0.33 s + 3 x 0.1 s + 5,000 x 200 x 8 bits / 5 Mbit/s (half of
	// the link) = 0.33 + 0.3 + 1.6 = 2.23 s.
	is(t, f, "events.link.report", 2.23, "330 ms + 3 x 100 ms + 5,000 x 200 B x 8 / 5 Mbit/s")
	if !says(s.Advice, "Lima", "too far", "505 ms", "5 x 100 ms + 5 ms") {
		t.Errorf("nothing advises against it: %q", s.Advice)
	}
	// The database is elsewhere: the guide's 2 cores and 2 GB.
	is(t, s.Server.Figures, "server.cores.classic", 2, "2 + 0")
}

func TestDatabaseOverAQuickLink(t *testing.T) {
	s := onlySize(t, berlinAndLima+`
  links: [{from: Berlin, to: Lima, bandwidth: 1Gbit/s, latency: 4ms}]
  events: {site: Lima}`)
	// 5 x 4 ms + 5 ms = 25 ms: 40 transactions, 200,000 events a second, of which
	// PostgreSQL was measured to take 12,841.
	is(t, s.Events.Figures, "events.link.commit", 0.025, "")
	is(t, s.Events.Figures, "events.link.events", 12_841, "min(40 x 5,000, 12,841)")
	if says(s.Advice, "too far") || !says(s.Events.Reasons, "The link carries it") {
		t.Errorf("advice %q, reasons %q", s.Advice, s.Events.Reasons)
	}
}

func TestADatabaseAbroadIsRefused(t *testing.T) {
	s := onlySize(t, berlinAndLima+`
  links: [{from: Berlin, to: Lima, bandwidth: 1Gbit/s}]
  separations: [{name: Staff data, kind: law, who: {countries: [DE]}, country: DE}]
  events: {site: Lima, place: remote}`)
	if s.Events.Site != "Berlin" || s.Events.Place != organization.PlaceRemote {
		t.Errorf("events are %s at %s", s.Events.Place, s.Events.Site)
	}
	if !says(s.Events.Reasons, "Lima", "may not leave DE") {
		t.Errorf("reasons: %q", s.Events.Reasons)
	}
	// Where nothing else asks for another computer it is on the server.
	s = onlySize(t, berlinAndLima+`
  links: [{from: Berlin, to: Lima, bandwidth: 1Gbit/s}]
  separations: [{name: Staff data, kind: law, who: {countries: [DE]}, country: DE}]
  events: {site: Lima}`)
	if s.Events.Place != organization.PlaceServer || s.Events.Kind != organization.SQLite || !says(s.Events.Reasons, "Lima", "may not leave DE") {
		t.Errorf("events are on %s, %s: %q", s.Events.Kind, s.Events.Place, s.Events.Reasons)
	}
}

func TestInstancesShareOneDatabase(t *testing.T) {
	// 8,000 active need two instances; both may use one database, at the server
	// with the most clients.
	instances, sizes := sizesOf(t, `  sites: [{name: Berlin, people: [{users: 8000}]}]
  events: {shareOne: true}`)
	if len(sizes) != 2 {
		t.Fatalf("%d instances, want two", len(sizes))
	}
	for i, s := range sizes {
		other := instances[1-i].Name
		if s.Events.Kind != organization.PostgreSQL || s.Events.Place != organization.PlaceRemote || len(s.Events.Shared) != 1 || s.Events.Shared[0] != other {
			t.Errorf("%s: %s, %s, shared with %q, want %s", s.Name, s.Events.Kind, s.Events.Place, s.Events.Shared, other)
		}
	}
}

func TestASecretDatabaseIsNotShared(t *testing.T) {
	instances, sizes := sizesOf(t, `  sites:
    - name: Berlin
      people: [{users: 8000}, {users: 200, department: Payroll}]
  separations: [{name: Payroll, kind: security, who: {departments: [Payroll]}}]
  events: {shareOne: true}`)
	for i, s := range sizes {
		own := instances[i].Parts[0].Department == "Payroll"
		if own != (len(s.Events.Shared) == 0) {
			t.Errorf("%s is shared with %q", s.Name, s.Events.Shared)
		}
		if own && !says(s.Events.Reasons, "Payroll keeps its data apart") {
			t.Errorf("reasons: %q", s.Events.Reasons)
		}
	}
}

func availabilityOf(t *testing.T, offline, more string) sizing.Availability {
	t.Helper()
	s := onlySize(t, fiveThousand+"\n  workspaces: [{name: Office, image: office, offline: "+offline+"}]\n"+more)
	return s.Availability
}

func TestNoOutageIsTolerable(t *testing.T) {
	a := availabilityOf(t, "none", "")
	// None allowed: zero. A lease lasts 3 x 60 s = 180 s; the fail-over of 1.1 s and
	// two polls take 121.1 s.
	if a.Tolerable != 0 || a.Workspaces[0].Seconds != 0 {
		t.Errorf("tolerable: %v, %+v", a.Tolerable, a.Workspaces)
	}
	is(t, a.Figures, "availability.tolerable", 180, "3 x 1 min")
	is(t, a.Figures, "availability.outage", 121.1, "1.1 s + 2 x 1 min")
	is(t, a.Figures, "availability.servers", 2, "1 + 1")
	if a.Standby != sizing.DatabaseStandby || a.Loss != 0 || !a.DatabaseStandby {
		t.Errorf("standby %s, loss %v, of the database %t", a.Standby, a.Loss, a.DatabaseStandby)
	}
	if !says(a.Reasons, "restore from a backup is not enough", "4 h", "3 min") {
		t.Errorf("reasons: %q", a.Reasons)
	}
	s := onlySize(t, fiveThousand+"\n  workspaces: [{name: Office, image: office, offline: none}]")
	if s.State.Kind != organization.PostgreSQL || s.Events.Kind != organization.PostgreSQL || s.Events.Place != organization.PlaceRemote {
		t.Errorf("state on %s, events on %s, %s", s.State.Kind, s.Events.Kind, s.Events.Place)
	}
}

func TestThreeDaysAgainstFourHours(t *testing.T) {
	// 3 days are 259,200 s, of which 95 % are left at least: 246,240 s. A restore
	// takes 14,400 s, and agents that failed ask again after 300 s x 1.25 = 375 s at
	// the latest: 14,775 s. No standby.
	a := availabilityOf(t, "3d", "  service: {restore: 4h}")
	is(t, a.Figures, "availability.tolerable", 246_240, "3 days x 95 %")
	if a.Tolerable != 259_200 || a.Standby != sizing.NoStandby || a.Outage != 14_775 || a.Loss != 86_400 || a.DatabaseStandby {
		t.Errorf("%+v", a)
	}
}

func TestFourHoursAgainstFourHours(t *testing.T) {
	// 95 % of 14,400 s are 13,680 s, less than a restore takes. A follower that
	// somebody promotes within half an hour: 1,800 + 1.1 + 375 = 2,176.1 s.
	a := availabilityOf(t, "4h", "  service: {restore: 4h}")
	is(t, a.Figures, "availability.outage", 2176.1, "30 min + 1.1 s + 6 min 15 s")
	if a.Standby != sizing.FollowerStandby || a.Loss != 1 {
		t.Errorf("%+v", a)
	}
}

func TestHalfAnHourIsTooShortForAFollower(t *testing.T) {
	// 95 % of 1,800 s are 1,710 s, less than the 2,176.1 s of a follower.
	if a := availabilityOf(t, "30m", ""); a.Standby != sizing.DatabaseStandby || a.Outage != 121.1 {
		t.Errorf("%+v", a)
	}
	// Where SQLite was asked for, the follower is promoted without waiting.
	if a := availabilityOf(t, "30m", "  events: {database: sqlite}"); a.Standby != sizing.FollowerStandby || a.Outage != 121.1 {
		t.Errorf("%+v", a)
	}
}

func TestWithoutALimitOnlyWhatIsLostCounts(t *testing.T) {
	a := availabilityOf(t, "unrestricted", "")
	if a.Tolerable != -1 || a.Standby != sizing.NoStandby {
		t.Errorf("%+v", a)
	}
	// A backup a day loses a day; one hour may be lost: a follower loses a second.
	a = availabilityOf(t, "unrestricted", "  service: {backup: 1d, loss: 1h}")
	if a.Standby != sizing.FollowerStandby || a.Loss != 1 || !says(a.Reasons, "1 day", "1 h") {
		t.Errorf("%+v", a)
	}
}

func TestReportsMayBeAwayForAnHour(t *testing.T) {
	// A restore takes 4 h, reports may be away for 1 h.
	if a := availabilityOf(t, "3d", "  service: {restore: 4h, reportOutage: 1h}"); !a.DatabaseStandby || a.Standby != sizing.NoStandby {
		t.Errorf("%+v", a)
	}
	// A follower, needed for the 4 h of Office, has both databases, after 36 min.
	if a := availabilityOf(t, "4h", "  service: {restore: 4h, reportOutage: 1h}"); a.DatabaseStandby || a.Standby != sizing.FollowerStandby {
		t.Errorf("%+v", a)
	}
}

func TestJournalsOutlastTheOutage(t *testing.T) {
	// 3 days x 100,000 bytes are less than 8 MiB = 8,388,608 bytes. A day takes 20 x
	// (200 + 300) x 1.5 = 15,000 bytes: 559.24 days = 48,318,382 s.
	a := availabilityOf(t, "3d", "")
	is(t, a.Figures, "availability.journal", 8_388_608/15_000.0*86_400, "")
	// An outage of 14,775 s of the 28,800 in which all happens: 100,000 x 0.51302 =
	// 51,302 events, 48,000 a second: 1.07 s.
	is(t, a.Figures, "availability.backlog", 100_000*14_775/28_800.0/48_000, "")
}

func TestConsoles(t *testing.T) {
	s := onlySize(t, fiveThousand+`
  images: [{name: office, packed: 4GiB, disk: 20GiB}, {name: build, packed: 10GiB, disk: 60GiB}]
  clients: {freeDisk: 100GiB, memory: 8GiB}
  consoles: [{site: Berlin, operators: 2, images: true}]`)
	// The largest image has 60 GiB: twice that is 120 GiB, more than a client has free.
	if len(s.Consoles) != 1 || !strings.Contains(s.Consoles[0].FormFactor, "8 GiB") || !strings.Contains(s.Consoles[0].FormFactor, "120 GiB") {
		t.Errorf("%+v", s.Consoles)
	}
	if !says(s.Advice, "100 GiB", "120 GiB") {
		t.Errorf("advice: %q", s.Advice)
	}
}

func TestConsolesOfThoseApart(t *testing.T) {
	instances, sizes := sizesOf(t, `  sites:
    - {name: Berlin, country: DE, people: [{users: 900}, {users: 50, network: Laboratory}]}
    - {name: Bern, country: CH, people: [{users: 80}]}
  links: [{from: Berlin, to: Bern, bandwidth: 100Mbit/s}]
  networks: [{name: Laboratory}]
  separations: [{name: Swiss data, kind: law, who: {countries: [CH]}, country: CH}]
  consoles: [{site: Berlin, operators: 4}]`)
	for i, s := range sizes {
		c, in := s.Consoles, instances[i]
		switch {
		case in.NetworkName == "Laboratory": // from within
			if len(c) != 1 || c[0].Site != "Berlin" || !says(c[0].Reasons, "Laboratory", "from within") {
				t.Errorf("%s: %+v", s.Name, c)
			}
		case in.Country == "CH": // data may not leave, and the console of the file is in DE
			if len(c) != 1 || c[0].Site != "Bern" || !says(c[0].Reasons, "may not leave CH") {
				t.Errorf("%s: %+v", s.Name, c)
			}
		default:
			if len(c) != 1 || c[0].Site != "Berlin" || c[0].Operators != 4 {
				t.Errorf("%s: %+v", s.Name, c)
			}
		}
	}
	if len(sizes) != 3 {
		t.Errorf("%d instances, want three", len(sizes))
	}
}

// Of 60 and 20 GiB on the disk people of the laboratory get the second: where
// its images are made 2 x 20 = 40 GiB are needed, and 2 x 60 = 120 GiB outside.
func TestImagesOfAnIsolatedNetwork(t *testing.T) {
	instances, sizes := sizesOf(t, `  sites: [{name: Berlin, people: [{users: 900, department: Sales}, {users: 50, network: Laboratory}]}]
  networks: [{name: Laboratory}]
  images: [{name: office, packed: 20GiB, disk: 60GiB}, {name: instruments, packed: 5GiB, disk: 20GiB}]
  workspaces: [{name: Office, image: office, who: {departments: [Sales]}}, {name: Instruments, image: instruments, who: {networks: [Laboratory]}}]
  consoles: [{site: Berlin, images: true}]`)
	for i, s := range sizes {
		want := "120 GiB"
		if instances[i].NetworkName == "Laboratory" {
			want = "40 GiB"
		}
		if len(s.Consoles) != 1 || !strings.Contains(s.Consoles[0].FormFactor, want+" of free disk") {
			t.Errorf("%s: %+v, want %s", s.Name, s.Consoles, want)
		}
	}
	if len(sizes) != 2 {
		t.Errorf("%d instances, want two", len(sizes))
	}
}

func TestNothingMayBeLost(t *testing.T) {
	// Synchronous replication loses nothing; a follower on SQLite loses the last
	// second, more than none.
	a := availabilityOf(t, "unrestricted", "  service: {loss: 0s}")
	if a.Standby != sizing.DatabaseStandby || a.Loss != 0 {
		t.Errorf("%+v", a)
	}
	a = availabilityOf(t, "unrestricted", "  service: {loss: 0s}\n  events: {database: sqlite}")
	if a.Standby != sizing.FollowerStandby || a.Loss != 1 || !says(a.Reasons, "none may be", "PostgreSQL") {
		t.Errorf("%+v", a)
	}
}

func TestComputerOfASharedDatabase(t *testing.T) {
	// 8,000 clients in two instances, 8,000 x 20 x 200 x 365 x 1.5 x 1.3 =
	// 22,776,000,000 bytes for both; with 10 GB of the system, of which 90 % may be
	// full: 36,417,777,778 bytes. 8.333 events a second are nothing for two cores.
	_, sizes := sizesOf(t, `  sites: [{name: Berlin, people: [{users: 8000}]}]
  events: {shareOne: true}`)
	for _, s := range sizes {
		is(t, s.Events.Figures, "events.computer.disk", 32_776_000_000/0.9, "(10 GB + 22.8 GB + 0 B) / 90 %")
		is(t, s.Events.Figures, "events.computer.cores", 2, "")
	}
}

func TestAConsoleStaysInItsCountry(t *testing.T) {
	// The most people of the instance are in Berlin, but its data may not leave
	// Switzerland: the console is in Bern.
	instances, sizes := sizesOf(t, `  sites:
    - {name: Berlin, country: DE, people: [{users: 900}]}
    - {name: Bern, country: CH, people: [{users: 80}]}
  links: [{from: Berlin, to: Bern, bandwidth: 100Mbit/s}]
  separations: [{name: Swiss data, kind: law, who: {countries: [CH]}, country: CH, shared: true}]
  consoles: [{site: Berlin}]`)
	for i, s := range sizes {
		if instances[i].Country == "CH" && s.Consoles[0].Site != "Bern" {
			t.Errorf("%+v", s.Consoles)
		}
	}
	if instances[0].Country != "CH" && len(instances) == 1 {
		t.Errorf("no instance stays in CH: %+v", instances)
	}
}
