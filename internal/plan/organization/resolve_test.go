package organization

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/document"
)

// TestDefaults: what the model holds for a file that says next to nothing is what
// the tags promise.
func TestDefaults(t *testing.T) {
	m := Resolve(decoded(t, small))
	want := &Model{
		Name:    "Small",
		Sites:   []Place{{Name: "Berlin", Country: "DE", Servers: true, LAN: document.Gbit, Delivery: DeliveryAuto, Groups: []int{0}, Users: 100, Active: 100}},
		Groups:  []Group{{Network: Connected, Users: 100, Active: 100, Path: "spec.sites[0].people[0]"}},
		Domains: []string{"everybody"},
		Images: []Disk{{
			Name: "office", Packed: 4 << 30, Used: 12 << 30, Update: 644245094 /* 15 % of 4 GiB, rounded down */, Every: 30 * 24 * time.Hour,
			Versions: 3, Base: -1, Shared: 0.6, Path: "spec.images[0]",
		}},
		Workspaces: []Offer{{
			Name: "Office", Policies: 1, Offline: OfflineUnrestricted, Persistent: true, Machine: 10 << 30, Critical: true,
			Gets: []Part{{Group: 0, Users: 100, Active: 100}}, Path: "spec.workspaces[0]",
		}},
		Service: Expected{
			FirstDelivery: 8 * time.Hour, LoadImage: 10 * time.Minute, CriticalUpdate: 24 * time.Hour, Report: 5 * time.Second, ReportOutage: 24 * time.Hour,
			Restore: 4 * time.Hour, Backup: 24 * time.Hour, Loss: 24 * time.Hour, Usable: 0.5, DeliveryHours: 24, Poll: time.Minute,
		},
		Events:   Flow{PerDay: 20, Bytes: 200, Keep: 365 * 24 * time.Hour, Bursts: 0.5, Overhead: 0.3, Hours: 8, Database: DatabaseAuto, Place: PlaceAuto, Site: -1},
		Consoles: []Desk{{Operators: 2, Reports: 6}},
		Clients:  Clients{Guest: 2 * document.GiB},
		Capacity: Holds{Clients: 5000, Cores: 2, Memory: 2 << 30},
		Growth:   Rise{Years: 3},
	}
	if diff := cmp.Diff(want, m, cmp.Exporter(func(reflect.Type) bool { return true }), cmp.FilterPath(func(p cmp.Path) bool {
		return slices.Contains([]string{"accepts", "ways", "keys"}, strings.TrimPrefix(p.Last().String(), "."))
	}, cmp.Ignore())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDefaultsAgreeWithTags sets every field that has a default to that default:
// the model must not change.
func TestDefaultsAgreeWithTags(t *testing.T) {
	plain := decoded(t, two)
	with := decoded(t, two)
	n := 0
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				if v.Index(i).Kind() == reflect.Struct {
					fill(v.Index(i))
				}
			}
			return
		case reflect.Struct:
		default:
			return
		}
		for _, f := range document.Fields(v.Type()) {
			at := v.Field(f.Index)
			if at.IsZero() {
				otherwise := f.Default()
				if otherwise == nil {
					if f.Type.Kind() == reflect.Struct && f.Inner() != nil {
						fill(at)
					}
					continue
				}
				n++
				set(t, at, otherwise)
				continue
			}
			if f.Inner() != nil && f.Type.Kind() != reflect.Pointer {
				fill(at)
			}
		}
	}
	fill(reflect.ValueOf(with).Elem())
	if n < 45 {
		t.Errorf("only %d defaults were set", n)
	}
	if err := Validate(with); err != nil {
		t.Fatal(err)
	}
	a, b := Resolve(plain), Resolve(with)
	// The classic guide's capacity is no measured one, unless it is written.
	b.Capacity.Measured = false
	if diff := cmp.Diff(a, b, cmp.Exporter(func(reflect.Type) bool { return true }), cmp.FilterPath(func(p cmp.Path) bool {
		return slices.Contains([]string{"ways"}, strings.TrimPrefix(p.Last().String(), "."))
	}, cmp.Ignore())); diff != "" {
		t.Errorf("the tags promise other defaults (-model +tags):\n%s", diff)
	}
}

// set fills a field with a default as document.Field.Default returns it.
func set(t *testing.T, v reflect.Value, to any) {
	t.Helper()
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if text, ok := v.Addr().Interface().(interface{ UnmarshalText([]byte) error }); ok {
		if err := text.UnmarshalText([]byte(fmt.Sprint(to))); err != nil {
			t.Fatal(err)
		}
		return
	}
	v.Set(reflect.ValueOf(to).Convert(v.Type()))
}

func TestSelects(t *testing.T) {
	m := Resolve(decoded(t, two))
	// The groups: Berlin a Payroll, Berlin b, Basel a, Basel a Lab.
	for _, c := range []struct {
		who  Who
		want []int
	}{
		{Who{}, []int{0, 1, 2, 3}},
		{Who{Sites: []string{"BERLIN"}}, []int{0, 1}},
		{Who{Countries: []string{"CH"}}, []int{2, 3}},
		{Who{Domains: []string{"a"}}, []int{0, 2, 3}},
		{Who{Domains: []string{"a", "b"}, Sites: []string{"Berlin"}}, []int{0, 1}},
		{Who{Networks: []string{"lab"}}, []int{3}},
		{Who{Departments: []string{"payroll"}}, []int{0}},
		{Who{Departments: []string{"Payroll"}, Sites: []string{"Basel"}}, nil},
		{Who{Domains: []string{"d"}}, nil},
	} {
		if got := m.Selects(c.who); !slices.Equal(got, c.want) {
			t.Errorf("%+v selects %v, want %v", c.who, got, c.want)
		}
	}
}

func TestSeats(t *testing.T) {
	m := Resolve(decoded(t, country))
	// Berlin DE; Basel CH without servers; Bern CH, where the laboratory is alone.
	for _, c := range []struct {
		network int
		country string
		want    []int
	}{{Connected, "", []int{0}}, {Connected, "CH", nil}, {Connected, "DE", []int{0}}, {0, "", []int{2}}, {0, "CH", []int{2}}, {0, "DE", nil}} {
		if got := m.Seats(c.network, c.country); !slices.Equal(got, c.want) {
			t.Errorf("network %d in %q: %v, want %v", c.network, c.country, got, c.want)
		}
	}
}

func TestResolve(t *testing.T) {
	o := decoded(t, string(Example()))
	m := Resolve(o)
	// 7,000 + 400 + 1,800 + 2,200 + 600 + 120 + 280 + 300 users;
	// 5,600 + 380 + 1,500 + 1,700 + 500 + 100 + 250 + 200 of them active.
	if users, active := m.Users(); users != 12_700 || active != 10_230 {
		t.Errorf("%d users, %d active", users, active)
	}
	if p := m.Sites[1]; p.Servers || !p.Neighbours || p.Active != 1500 {
		t.Errorf("%+v", p)
	}
	if g := m.Groups[5]; g.Network != 0 || g.Department != "Research" || g.Site != 3 || g.Path != "spec.sites[3].people[1]" {
		t.Errorf("%+v", g)
	}
	if l := m.Lines[2]; l.There != 100*document.Mbit || l.Back != 20*document.Mbit || l.UsableThere != 50*document.Mbit || l.UsableBack != 10*document.Mbit || l.Latency != 15*time.Millisecond {
		t.Errorf("%+v", l)
	}
	if l := m.Lines[3]; l.UsableThere != 15*document.Mbit {
		t.Errorf("30 %% of 50 Mbit/s are %s", l.UsableThere)
	}
	if d := m.Demands[1]; !d.Alone || d.Country != "CH" || !slices.Equal(d.Groups, []int{6}) {
		t.Errorf("%+v", d)
	}
	if d := m.Demands[0]; !d.Alone || !slices.Equal(d.Groups, []int{1}) {
		t.Errorf("%+v", d)
	}
	if i := m.Images[1]; i.Base != 0 || i.Shared != 0.8 || m.Images[0].Shared != 0.6 {
		t.Errorf("%+v", i)
	}
	if w := m.Workspaces[1]; w.Persistent || w.Machine != 2<<30 || w.Offline != OfflineNone || len(w.Gets) != 1 || w.Gets[0].Users != 400 {
		t.Errorf("%+v", w)
	}
	if limit, limited := m.Workspaces[0].Offline.Limit(); !limited || limit != 72*time.Hour {
		t.Errorf("%s, %v", limit, limited)
	}
	// 5 % a year for two years: 7,000 x 1.1025 = 7,717.5, rounded.
	grown := m.Grown(2)
	if grown.Groups[0].Users != 7718 || m.Groups[0].Users != 7000 || grown.Sites[0].Users != 7718+441 || grown.Workspaces[1].Gets[0].Users != 441 {
		t.Errorf("grown: %+v, before %+v", grown.Groups[0], m.Groups[0])
	}
	if r := grown.Route(0, 3); !r.OK || r.Usable != 50*document.Mbit {
		t.Errorf("grown: %+v", r)
	}
}

func TestShareOfPeople(t *testing.T) {
	m := Resolve(decoded(t, strings.Replace(small, "image: office\n", "image: office\n      share: 33%\n", 1)))
	// 33 % of 100 people.
	if got := m.Workspaces[0].Gets[0]; got.Users != 33 || got.Active != 33 {
		t.Errorf("%+v", got)
	}
}

func TestWarnings(t *testing.T) {
	for name, c := range map[string]struct{ raw, old, new, want string }{
		"unserved":        {two, "image: office}]", "image: office, who: {sites: [Berlin]}}]", "spec.sites[1].people[0]: no workspace is for these people"},
		"nobody":          {small, "users: 100", "users: 0", "spec.sites[0].people[0].users: nobody is here"},
		"domain":          {two, "{name: b}", "{name: b}", "spec.domains[3]: nobody has an account in this domain"},
		"network":         {two, "networks: [{name: Lab}]", "networks: [{name: Lab}, {name: Test}]", "spec.networks[1]: nobody is in this network"},
		"image":           {two, "image: office}]", "image: office}]", "spec.images[1]: no workspace uses this image"},
		"disk":            {small, "packed: 4GiB", "packed: 4GiB\n      disk: 3GiB", "spec.images[0].disk: is less than packed"},
		"update":          {small, "packed: 4GiB", "packed: 4GiB\n      update: 5GiB", "spec.images[0].update: is more than packed"},
		"everybody alone": {two, "  images:", "  separations: [{name: x, kind: law, who: {}}]\n  images:", "spec.separations[0].who: is everybody"},
		"country": {
			two, "  domains:", "    - {name: Bonn}\n  separations: [{name: x, kind: law, who: {sites: [Basel], domains: [b, a], networks: [Lab]}, country: CH}]\n  domains:",
			"spec.sites[2].country: is not given",
		},
		"travel": {
			two, "  domains:", "    - {name: Bonn}\n  travel: [{from: Berlin, to: Basel, users: 100}, {from: Berlin, to: Bonn, users: 100}]\n  domains:",
			"spec.travel[1].users: together with the travellers before are more than work at Berlin",
		},
		"hardware":  {small, "  images:", "  capacity: {hardware: a server}\n  images:", "spec.capacity.hardware: is not used without clients"},
		"restore":   {small, "  images:", "  service: {restore: 2d}\n  images:", "spec.service.restore: is longer than criticalUpdate"},
		"no forest": {two, "{name: a}", "{name: a, trusts: [{domain: c}]}", "spec.domains[0].trusts[0]: is not needed"},
	} {
		raw := strings.Replace(c.raw, c.old, c.new, 1)
		if strings.Contains(raw, "Bonn") {
			raw = strings.Replace(raw, "links: [", "links: [{from: Berlin, to: Bonn, bandwidth: 1Mbit/s}, ", 1)
		}
		var got []string
		for _, w := range Warnings(decoded(t, raw)) {
			got = append(got, w.String())
		}
		if !slices.ContainsFunc(got, func(w string) bool { return strings.Contains(w, c.want) }) {
			t.Errorf("%s: %q has no %q", name, got, c.want)
		}
	}
	for _, w := range Warnings(decoded(t, small)) {
		t.Errorf("small: %s", w)
	}
}

// large is an organization of many sites in a tree with cross links.
func large(sites, users, links int) *Organization {
	o := &Organization{APIVersion: APIVersion, Kind: Kind, Metadata: Metadata{Name: "Large"}}
	s := &o.Spec
	for i := range 10 {
		d := Domain{Name: fmt.Sprintf("d%d.example.test", i)}
		if i > 0 && i%2 == 0 {
			d.Parent = "d0.example.test"
		}
		s.Domains = append(s.Domains, d)
	}
	rates := []document.Rate{10 * document.Mbit, 50 * document.Mbit, 100 * document.Mbit, 500 * document.Mbit, document.Gbit, 2 * document.Mbit}
	for i := range sites {
		site := Site{Name: fmt.Sprintf("Site %d", i), Country: []string{"DE", "CH", "AT"}[i%3]}
		for j := range 3 {
			site.People = append(site.People, Crowd{Users: users / sites / 3, Domain: s.Domains[(i+j)%10].Name, Department: []string{"", "Payroll", "Sales"}[j]})
		}
		s.Sites = append(s.Sites, site)
	}
	for i := range links {
		from, to := (i+1)%sites, (i+1)%sites/2
		if i >= sites-1 {
			from, to = (i*7)%sites, (i*13+5)%sites
		}
		if from != to {
			s.Links = append(s.Links, Link{From: s.Sites[from].Name, To: s.Sites[to].Name, Bandwidth: rates[i%len(rates)], Latency: document.Latency(time.Duration(i%40+1) * time.Millisecond)})
		}
	}
	for i := range 20 {
		s.Images = append(s.Images, Image{Name: fmt.Sprintf("image %d", i), Packed: 4 * document.GiB})
		s.Workspaces = append(s.Workspaces, Workspace{Name: fmt.Sprintf("workspace %d", i), Image: s.Images[i].Name, Who: Who{Departments: []string{"Payroll"}}})
		s.Separations = append(s.Separations, Separation{Name: fmt.Sprintf("separation %d", i), Kind: Law, Who: Who{Sites: []string{s.Sites[i].Name}}})
	}
	return o
}

func BenchmarkResolve(b *testing.B) {
	o := large(200, 300_000, 400)
	for b.Loop() {
		Resolve(o)
	}
}

// BenchmarkRoutes asks for the way from every site to every other one.
func BenchmarkRoutes(b *testing.B) {
	o := large(200, 300_000, 400)
	for b.Loop() {
		m := Resolve(o)
		for i := range m.Sites {
			for j := range m.Sites {
				m.Route(i, j)
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	raw := large(200, 300_000, 199).YAML()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := Decode(raw, ""); err != nil {
			b.Fatal(err)
		}
	}
}
