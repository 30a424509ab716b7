package plan_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan/delivery"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// The numbers of these cases are worked out by hand. What they have in common:
//
//	4 GiB              = 4,294,967,296 B = 34,359,738,368 bits
//	its update, 15 %   =   644,245,094 B =  5,153,960,752 bits
//	usable of a link   = 50 %, of a network within a site (1 Gbit/s) 500 Mbit/s
//	one copy at 500 Mbit/s: first 68.719,476,736 s, update 10.307,921,504 s
//	requests           = 50 round trips a first delivery, 10 an update, 100 a start
const bitsFirst = 34_359_738_368.0

// delivered places and delivers an organization. Its image is Desktop unless the
// text has images of its own.
func delivered(t *testing.T, spec string) *delivery.Delivery {
	t.Helper()
	m := modelOf(t, spec, "[{name: Desktop, packed: 4GiB}]", "[{name: Office, image: Desktop}]")
	d, err := delivery.Deliver(t.Context(), m, placed(t, m))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// siteOf is the delivery at a site, of which there is one.
func siteOf(t *testing.T, d *delivery.Delivery, site string) *delivery.Site {
	t.Helper()
	i := slices.IndexFunc(d.Sites, func(s delivery.Site) bool { return s.Site == site })
	if i < 0 {
		t.Fatalf("no delivery at %s", site)
	}
	return &d.Sites[i]
}

// seconds compares times worked out by hand, to the millisecond.
func seconds(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-3 {
		t.Errorf("%s: got %.3f s, want %.3f s", what, got, want)
	}
}

func missedLevels(i *delivery.Transfer) string {
	var out []string
	for _, m := range i.Missed {
		out = append(out, m.Level)
	}
	return strings.Join(out, " ")
}

func repositoryOf(t *testing.T, d *delivery.Delivery, name string) *delivery.Repository {
	t.Helper()
	var names []string
	for i := range d.Repositories {
		if d.Repositories[i].Name == name {
			return &d.Repositories[i]
		}
		names = append(names, d.Repositories[i].Name)
	}
	t.Fatalf("no repository %q; there are %q", name, names)
	return nil
}

const slowBranch = `
  sites:
    - name: Head
    - {name: Branch, servers: false, people: [{users: 100}]}
  links: [{from: Head, to: Branch, bandwidth: 10Mbit/s, latency: 20ms}]`

// TestSlowBranch: 100 clients behind 10 Mbit/s, of which 5 Mbit/s may be used.
//
//	first   100 x 34,359,738,368 / 5,000,000 = 687,194.767 s + 50 x 0.02 s = 687,195.767 s (8 h are 28,800 s)
//	update  100 x  5,153,960,752 / 5,000,000 = 103,079.215 s + 10 x 0.02 s = 103,079.415 s (1 day is 86,400 s)
//	one     5 % x 34,359,738,368 / 5,000,000 =     343.597 s + 100 x 0.02 s = 345.597 s (10 minutes are 600 s)
//
// No mirror may stand there, so clients are pre-staged; updates are missed all the
// same. They would need 100 x 5,153,960,752 / (86,400 - 0.2) / 50 % = 11.93 Mbit/s,
// and (86,400 - 0.2) x 5,000,000 / 5,153,960,752 = 83.8 copies fit in a day.
func TestSlowBranch(t *testing.T) {
	d := delivered(t, slowBranch)
	s := siteOf(t, d, "Branch")
	i := &s.Images[0]
	seconds(t, "first", i.First, 687_195.767_360)
	seconds(t, "update", i.Update, 103_079.415_040)
	seconds(t, "one", i.One, 345.597_384)
	if s.Way != organization.DeliveryPreStaged || s.Neighbours || s.Clients != 100 || s.Link != 5e6 || s.Latency != 0.02 {
		t.Errorf("way %s, neighbours %v, %d clients, link %v, latency %v", s.Way, s.Neighbours, s.Clients, s.Link, s.Latency)
	}
	if got := missedLevels(i); got != "criticalUpdate" || i.Met {
		t.Fatalf("missed %q, met %v", got, i.Met)
	}
	want := "At Branch everybody has a critical update of the image Desktop after 1 day 5 h (1 day allowed). Neighbours would mend it: 34 min 11 s." +
		" No mirror may stand there. The link Head - Branch would have to have 12 Mbit/s instead of 10 Mbit/s; as it is, 83 of 100 copies fit into that time."
	if got := i.Missed[0].Text; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	seconds(t, "pre-staged", i.FirstPlanned, 0)
	seconds(t, "planned update", i.UpdatePlanned, i.Update)
}

// TestSlowBranchWithNeighbours: one copy over the link, 99 within the site.
//
//	first   34,359,738,368 / 5,000,000 = 6,871.948 s + 99 x 68.719 s = 6,803.228 s + 1 s = 13,676.176 s, within 8 h
//	update   5,153,960,752 / 5,000,000 = 1,030.792 s + 99 x 10.308 s = 1,020.484 s + 0.2 s = 2,051.476 s
func TestSlowBranchWithNeighbours(t *testing.T) {
	d := delivered(t, strings.Replace(slowBranch, "servers: false", "servers: false, neighbours: true", 1))
	s := siteOf(t, d, "Branch")
	i := &s.Images[0]
	seconds(t, "first", i.FirstNeighbours, 6_871.947_674+6_803.228_197+1)
	seconds(t, "update", i.UpdateNeighbours, 1_030.792_150+1_020.484_229+0.2)
	seconds(t, "planned", i.FirstPlanned, i.FirstNeighbours)
	seconds(t, "planned update", i.UpdatePlanned, i.UpdateNeighbours)
	if s.Way != organization.DeliveryNetwork || !s.Neighbours || !i.Met || len(d.Repositories) != 1 {
		t.Errorf("way %s, neighbours %v, met %v, %d repositories", s.Way, s.Neighbours, i.Met, len(d.Repositories))
	}
}

// TestMirror: the same branch with a place for a server, and 150 clients at Head,
// where the instance stands therefore.
//
//	fill    34,359,738,368 / 5,000,000 = 6,871.948 s
//	spread  100 x 68.719 s             = 6,871.948 s + 1 s = 13,744.895 s, within 8 h
//	update  1,030.792 s + 100 x 10.308 s + 0.2 s = 2,061.784 s
//	one     5 % x 34,359,738,368 / 500,000,000 = 3.436 s: the mirror is within the site
//
// The mirror holds 4 GiB and two updates, and one deleted one until it is swept:
// 4,294,967,296 + 3 x 644,245,094 = 6,227,702,578 B. The repository has room for
// packages too: + 2 x 4,294,967,296 = 14,817,637,170 B.
func TestMirror(t *testing.T) {
	d := delivered(t, `
  sites:
    - {name: Head, people: [{users: 150}]}
    - {name: Branch, people: [{users: 100}]}
  links: [{from: Head, to: Branch, bandwidth: 10Mbit/s, latency: 20ms}]`)
	s := siteOf(t, d, "Branch")
	i := &s.Images[0]
	if s.Repository != "Mirror Branch" || s.Way != organization.DeliveryNetwork || !i.Met {
		t.Fatalf("from %s, way %s, met %v: %v", s.Repository, s.Way, i.Met, i.Missed)
	}
	seconds(t, "first", i.First, 687_195.767_360)
	seconds(t, "planned", i.FirstPlanned, 6_871.947_674+6_871.947_674+1)
	seconds(t, "planned update", i.UpdatePlanned, 1_030.792_150+1_030.792_150+0.2)
	seconds(t, "one", i.One, 3.435_974)
	mirror, head := repositoryOf(t, d, "Mirror Branch"), repositoryOf(t, d, "Repository Head")
	if mirror.Of != head.Name || mirror.Disk != 6_227_702_578 || head.Disk != 14_817_637_170 {
		t.Errorf("mirror of %s with %d B, repository with %d B", mirror.Of, mirror.Disk, head.Disk)
	}
	want := []string{"A mirror is filled with one copy of each version over the link Head - Branch, of which 5 Mbit/s may be used." +
		" Without it the first delivery of the image Desktop to Branch takes 7 days 23 h (8 h allowed)."}
	if !slices.Equal(mirror.Reasons, want) {
		t.Errorf("got  %q\nwant %q", mirror.Reasons, want)
	}
	// 4 h to restore it leave enough of a day: 34 min 22 s is the slowest update, at Branch.
	faults := "While it is away everybody goes on with the images they have; first deliveries and updates wait and then go on where they stopped." +
		" A backup is enough: a critical update takes 34 min 22 s at its slowest (Desktop at Branch), and with 4 h to restore a broken repository 4 h 34 min (1 day allowed)."
	if head.Faults != faults {
		t.Errorf("got  %s\nwant %s", head.Faults, faults)
	}
	// Head serves its 150 clients and the mirror: 151 copies in 8 hours are
	// 151 x 34,359,738,368 / 28,800 = 180.15 Mbit/s; at once ceil(150 x 68.719 s / 28,800 s) = 1,
	// and the mirror, ceil(1 x 6,871.948 s / 28,800 s) = 1.
	if math.Abs(head.Bandwidth-151*bitsFirst/28_800) > 1 || head.Downloads != 2 {
		t.Errorf("%v bit/s, %d downloads", head.Bandwidth, head.Downloads)
	}
}

// TestDownloadsAtOnce: 400 clients behind 100 Mbit/s, of which 50 Mbit/s may be
// used, have a day for an image that each takes 34,359,738,368 / 50,000,000 =
// 687.195 s for when it is alone:
//
//	ceil(400 x 687.195 s / 86,400 s) = ceil(3.181) = 4 at the same time
//	400 x 34,359,738,368 / 86,400 = 159.07 Mbit/s, more than there is
func TestDownloadsAtOnce(t *testing.T) {
	d := delivered(t, strings.NewReplacer("10Mbit/s", "100Mbit/s", "users: 100", "users: 400", "servers: false", "servers: false, delivery: network").Replace(slowBranch)+
		"\n  service: {firstDelivery: 1d, restore: 21h}")
	s, r := siteOf(t, d, "Branch"), repositoryOf(t, d, "Repository Head")
	if s.Downloads != 4 || r.Downloads != 4 || math.Abs(r.Bandwidth-400*bitsFirst/86_400) > 1 {
		t.Errorf("%d and %d downloads, %v bit/s", s.Downloads, r.Downloads, r.Bandwidth)
	}
	// An update takes 400 x 5,153,960,752 / 50,000,000 = 41,232 s = 11 h 27 min, and 21 h to restore are too many beside it.
	if !strings.Contains(r.Faults, "It needs a second copy: a critical update takes 11 h 27 min at its slowest (Desktop at Branch), and with 21 h to restore a broken repository 1 day 8 h (1 day allowed).") {
		t.Error(r.Faults)
	}
	if missed := missedLevels(&s.Images[0]); missed != "firstDelivery" {
		t.Errorf("missed %q", missed)
	}
}

const sharedLink = `
  sites:
    - name: Head
    - {name: Hub, servers: false}
    - {name: A, servers: false, people: [{users: 30}]}
    - {name: B, servers: false, people: [{users: 20}]}
  links:
    - {from: Head, to: Hub, bandwidth: 20Mbit/s, latency: 20ms}
    - {from: Hub, to: A, bandwidth: 100Mbit/s, latency: 10ms}
    - {from: B, to: Hub, bandwidth: 100Mbit/s, latency: 10ms}`

// TestSharedLink: A and B are behind one link, which carries the copies of both.
//
//	first  (30 + 20) x 34,359,738,368 / 10,000,000 = 171,798.692 s + 50 x 0.03 s = 171,800.192 s for both
//	update (30 + 20) x  5,153,960,752 / 10,000,000 =  25,769.804 s + 10 x 0.03 s =  25,770.104 s
func TestSharedLink(t *testing.T) {
	d := delivered(t, sharedLink)
	for _, name := range []string{"A", "B"} {
		s := siteOf(t, d, name)
		i := &s.Images[0]
		seconds(t, name+" first", i.First, 171_800.191_840)
		seconds(t, name+" update", i.Update, 25_770.103_760)
		if s.Way != organization.DeliveryPreStaged || !i.Met {
			t.Errorf("%s: way %s, met %v", name, s.Way, i.Met)
		}
	}
}

// TestMirrorForSeveral: where a server may stand at the hub, one mirror does for
// both sites. The 100 clients at Head keep the instance there.
//
//	fill  34,359,738,368 / 10,000,000 = 3,435.974 s
//	A     30 x 34,359,738,368 / 50,000,000 = 20,615.843 s + 1.5 s = 24,053.317 s, within 8 h
//	B     20 x 34,359,738,368 / 50,000,000 = 13,743.895 s + 1.5 s = 17,181.369 s
func TestMirrorForSeveral(t *testing.T) {
	d := delivered(t, strings.NewReplacer("{name: Hub, servers: false}", "{name: Hub}", "- name: Head\n", "- {name: Head, people: [{users: 100}]}\n").Replace(sharedLink))
	if len(d.Repositories) != 2 {
		t.Fatalf("%d repositories", len(d.Repositories))
	}
	m := repositoryOf(t, d, "Mirror Hub")
	if !slices.Equal(m.Serves, []string{"A", "B"}) {
		t.Errorf("serves %q", m.Serves)
	}
	for name, want := range map[string]float64{"A": 24_053.317, "B": 17_181.369} {
		i := &siteOf(t, d, name).Images[0]
		seconds(t, name, i.FirstPlanned, want)
		if !i.Met {
			t.Errorf("%s misses %v", name, i.Missed)
		}
	}
}

// TestAsymmetricLink: images flow from Head to Branch, whichever end the file
// names first.
//
//	10 x 34,359,738,368 / 50,000,000 = 6,871.948 s + 50 x 0.01 s = 6,872.448 s
//	10 x 34,359,738,368 /  1,000,000 = 343,597.384 s + 0.5 s     = 343,597.884 s
func TestAsymmetricLink(t *testing.T) {
	const sites = `
  sites:
    - name: Head
    - {name: Branch, servers: false, people: [{users: 10}]}
  links: [`
	for link, want := range map[string]float64{
		"{from: Head, to: Branch, bandwidth: 100Mbit/s, back: 2Mbit/s}": 6_872.447_674,
		"{from: Branch, to: Head, bandwidth: 2Mbit/s, back: 100Mbit/s}": 6_872.447_674,
		"{from: Branch, to: Head, bandwidth: 100Mbit/s, back: 2Mbit/s}": 343_597.883_680,
	} {
		seconds(t, link, siteOf(t, delivered(t, sites+link+"]"), "Branch").Images[0].First, want)
	}
}

// TestIsolatedNetwork: the laboratory has a repository of its own, within.
//
//	40 x 68.719 s = 2,748.779 s from a repository at the same site
func TestIsolatedNetwork(t *testing.T) {
	d := delivered(t, `
  sites:
    - {name: Head, people: [{users: 200}]}
    - {name: Plant, people: [{users: 10}, {users: 40, network: Lab}]}
  networks: [{name: Lab}]
  links: [{from: Head, to: Plant, bandwidth: 1Gbit/s}]`)
	lab := repositoryOf(t, d, "Repository Plant")
	if len(d.Repositories) != 2 || lab.Site != "Plant" || lab.Of != "" || !slices.Equal(lab.Serves, []string{"Plant"}) {
		t.Fatalf("%d repositories; that of the laboratory at %s serves %q", len(d.Repositories), lab.Site, lab.Serves)
	}
	if want := "Nothing reaches the network Lab from outside, so it has a repository of its own. Images come into it on a medium: 4.29 GB at first."; lab.Reasons[0] != want {
		t.Errorf("got  %s\nwant %s", lab.Reasons[0], want)
	}
	for _, s := range d.Sites {
		if s.Network != "Lab" {
			continue
		}
		seconds(t, "first", s.Images[0].First, 40*68.719_476_736)
		if s.Repository != lab.Name || s.Clients != 40 {
			t.Errorf("%d clients from %s", s.Clients, s.Repository)
		}
	}
}

// TestCountry: data of Zurich may not leave CH, so a repository stands there, and
// its people take from no other one, though more flows to them from Berlin, and
// not even those who visit Berlin.
func TestCountry(t *testing.T) {
	d := delivered(t, `
  sites:
    - {name: Berlin, country: DE, people: [{users: 300}]}
    - {name: Geneva, country: CH}
    - {name: Zurich, country: CH, servers: false, people: [{users: 50}]}
  links:
    - {from: Berlin, to: Zurich, bandwidth: 1Gbit/s}
    - {from: Geneva, to: Zurich, bandwidth: 200Mbit/s, latency: 4ms}
  travel: [{from: Zurich, to: Berlin, users: 3}]
  separations: [{name: Records, kind: law, who: {countries: [CH]}, country: CH}]`)
	swiss := repositoryOf(t, d, "Repository Geneva")
	if len(d.Repositories) != 2 || !slices.Equal(swiss.Serves, []string{"Berlin", "Zurich"}) {
		t.Fatalf("%d repositories; that of CH serves %q", len(d.Repositories), swiss.Serves)
	}
	if len(swiss.Reasons) == 0 || !strings.HasSuffix(swiss.Reasons[0], "may not leave CH, so its repository stands there.") {
		t.Errorf("%q", swiss.Reasons)
	}
	// Zurich's 50 and its travellers, whose copies go on to Berlin:
	// 53 x 34,359,738,368 / 100,000,000 = 18,210.661 s + 50 x 0.004 s
	seconds(t, "first", siteOf(t, d, "Zurich").Images[0].First, 18_210.661_335+0.2)
	want := []string{"3 people of Zurich visit Berlin in DE, but their data may not leave CH (Records). Their machines are on the clients that they take along: decide whether these people may take them."}
	if !slices.Equal(d.Warnings, want) {
		t.Errorf("got  %q\nwant %q", d.Warnings, want)
	}
}

// TestTravellers: ten people of Head are at Branch, and four at the Lab for three
// days, where they cannot reach their server; nor can one of the Lab at Head.
//
//	Branch has 20 + 10 clients then: 30 x 34,359,738,368 / 50,000,000 = 20,615.843 s + 50 x 0.01 s
func TestTravellers(t *testing.T) {
	d := delivered(t, `
  sites:
    - {name: Head, people: [{users: 100}]}
    - {name: Branch, servers: false, people: [{users: 20}]}
    - {name: Lab, people: [{users: 5, network: Lab}]}
  networks: [{name: Lab}]
  links: [{from: Head, to: Branch, bandwidth: 100Mbit/s}]
  travel:
    - {from: Head, to: Branch, users: 10, days: 30}
    - {from: Head, to: Lab, users: 4, days: 3}
    - {from: Lab, to: Head, users: 1, days: 4}
  images: [{name: Desktop, packed: 4GiB}]
  workspaces:
    - {name: Office, image: Desktop, offline: 2d}
    - {name: Till, image: Desktop, offline: none, who: {sites: [Head]}, share: 50%}
    - {name: Laptop, image: Desktop, offline: 3d}`)
	s := siteOf(t, d, "Branch")
	if s.Clients != 30 {
		t.Errorf("%d clients", s.Clients)
	}
	seconds(t, "first", s.Images[0].First, 20_615.843_021+0.5)
	want := []string{
		"4 people of Head visit Lab for 3 days and cannot reach their server from there: the workspace Office may be used off-line for 2 days only." +
			" They need one that may be used off-line for 3 days, or cannot work with it there.",
		"2 people of Head visit Lab for 3 days and cannot reach their server from there: the workspace Till may not be used off-line at all." +
			" They need one that may be used off-line for 3 days, or cannot work with it there.",
		"1 person of Lab in network Lab visits Head for 4 days and cannot reach their server from there: the workspace Office may be used off-line for 2 days only." +
			" They need one that may be used off-line for 4 days, or cannot work with it there.",
		"1 person of Lab in network Lab visits Head for 4 days and cannot reach their server from there: the workspace Laptop may be used off-line for 3 days only." +
			" They need one that may be used off-line for 4 days, or cannot work with it there.",
	}
	if !slices.Equal(d.Warnings, want) {
		t.Errorf("got  %q\nwant %q", d.Warnings, want)
	}
}

// TestClientDisk: an office workspace whose machine keeps its changes, and for 30
// of 100 people a second one that does not, from an image that shares 80 % with
// the first one's.
//
//	office alone: 4 GiB + 2 x 15 % of it + 10 GiB + 10 GiB of the version before + 5 GiB data + 2 GiB saved memory
//	  4,294,967,296 + 2 x 644,245,094 + 2 x 10,737,418,240 + 5,368,709,120 + 2,147,483,648 = 34,574,486,732 B
//	both: + 2 GiB x (1 - 80 %) + 2 x 15 % of 2 GiB + 2 GiB
//	  + 429,496,729.6 + 2 x 322,122,547 + 2,147,483,648 = 37,795,712,203 B
//	memory: 2 GiB + min(1 GiB, 8 GiB / 4) = 3,221,225,472 B
func TestClientDisk(t *testing.T) {
	d := delivered(t, `
  sites: [{name: Head, people: [{users: 100}]}]
  images: [{name: Desktop, packed: 4GiB}, {name: Pay, packed: 2GiB, base: Desktop, shared: 80%}]
  workspaces:
    - {name: Office, image: Desktop, data: 5GiB}
    - {name: Payroll, image: Pay, share: 30%, persistent: false}
  clients: {freeDisk: 33GiB, memory: 8GiB}`)
	if len(d.Clients) != 2 {
		t.Fatalf("%d sets of workspaces", len(d.Clients))
	}
	for i, want := range []delivery.Client{
		{Workspaces: []string{"Office"}, Users: 70, Disk: 34_574_486_732, Memory: 3_221_225_472, Fits: true},
		{Workspaces: []string{"Office", "Payroll"}, Users: 30, Disk: 37_795_712_203, Memory: 3_221_225_472, Fits: false},
	} {
		got := d.Clients[i]
		if !slices.Equal(got.Workspaces, want.Workspaces) || got.Users != want.Users || got.Disk != want.Disk || got.Memory != want.Memory || got.Fits != want.Fits {
			t.Errorf("got  %v %d %d %d %v\nwant %v %d %d %d %v", got.Workspaces, got.Users, got.Disk, got.Memory, got.Fits,
				want.Workspaces, want.Users, want.Disk, want.Memory, want.Fits)
		}
	}
}

// TestDeliveryHours: 25 clients on 10 Mbit/s, ten hours a day.
//
//	25 x 34,359,738,368 / 5,000,000 = 171,798.692 s + 1 s = 171,799.692 s of delivery
//	ceil(171,799.692 / 36,000) = 5 days, with 4 pauses of 14 h: + 4 x 50,400 s = 373,399.692 s
func TestDeliveryHours(t *testing.T) {
	d := delivered(t, strings.Replace(slowBranch, "users: 100", "users: 25", 1)+"\n  service: {deliveryHours: 10, firstDelivery: 5d}")
	i := &siteOf(t, d, "Branch").Images[0]
	seconds(t, "first", i.First, 373_399.691_840)
	if !i.Met {
		t.Errorf("misses %v", i.Missed)
	}
}

// TestRepositoryDisk: two images, four versions each, the second sharing 80 % with
// the first; a version of the first every 2 days, of the second every 30.
//
//	whole          4 x 10 GiB + 4 x 5 GiB = 64,424,509,440 B
//	de-duplicated  10 GiB + 3 x 1 GiB + 5 GiB x 20 % + 3 x 512 MiB = 10,737,418,240 + 3,221,225,472 + 1,073,741,824 + 1,610,612,736 = 16,642,998,272 B
//	deleted        ceil(72 h / 48 h) = 2 x 1 GiB + 1 x 512 MiB = 2,684,354,560 B
//	packages       2 x 10 GiB = 21,474,836,480 B
//	all            40,802,189,312 B
func TestRepositoryDisk(t *testing.T) {
	d := delivered(t, `
  sites: [{name: Head, people: [{users: 10}]}]
  images:
    - {name: Desktop, packed: 10GiB, update: 1GiB, versions: 4, every: 2d}
    - {name: Pay, packed: 5GiB, update: 512MiB, versions: 4, base: Desktop, shared: 80%}
  workspaces: [{name: Office, image: Desktop}, {name: Payroll, image: Pay}]`)
	r := repositoryOf(t, d, "Repository Head")
	for name, want := range map[string]float64{
		"repository.plain": 64_424_509_440, "repository.deduplicated": 16_642_998_272, "repository.deleted": 2_684_354_560,
		"repository.packages": 21_474_836_480, "repository.disk": 40_802_189_312,
	} {
		found := false
		for _, f := range r.Figures {
			if f.Name == name {
				found = true
				if math.Abs(f.Value-want) > 1 || f.Formula == "" || f.Numbers == "" {
					t.Errorf("%s: got %.0f = %s = %s, want %.0f", name, f.Value, f.Formula, f.Numbers, want)
				}
			}
		}
		if !found {
			t.Errorf("no figure %s", name)
		}
	}
	if r.Disk != 40_802_189_312 {
		t.Errorf("disk %d", r.Disk)
	}
}

// TestAskedFor: what the file asks for is done, and what it means is said.
func TestAskedFor(t *testing.T) {
	for way, want := range map[organization.DeliveryChoice]struct{ missed, reason string }{
		organization.DeliveryNetwork:   {"firstDelivery criticalUpdate", "The file asks for delivery over the network."},
		organization.DeliveryPreStaged: {"criticalUpdate", "The first delivery is pre-staged, because the file asks for it: clients are set up at Head, beside the repository, with Desktop (4.29 GB) each; all of them take 1 h 55 min of the network there. Updates come over the network."},
		organization.DeliveryMedia:     {"criticalUpdate", "Media are used because the file asks for them."},
	} {
		s := siteOf(t, delivered(t, strings.Replace(slowBranch, "servers: false", "servers: false, delivery: "+string(way), 1)), "Branch")
		if got := missedLevels(&s.Images[0]); s.Way != way || got != want.missed {
			t.Errorf("%s: way %s, missed %q", way, s.Way, got)
		}
		if !slices.Contains(s.Reasons, want.reason) {
			t.Errorf("%s: %q", way, s.Reasons)
		}
	}
	// Two days on its way meet a level of two days.
	s := siteOf(t, delivered(t, strings.Replace(slowBranch, "10Mbit/s", "1Mbit/s", 1)+"\n  service: {criticalUpdate: 2d}"), "Branch")
	if s.Way != organization.DeliveryMedia || !s.Images[0].Met {
		t.Errorf("way %s, missed %v", s.Way, s.Images[0].Missed)
	}
}
