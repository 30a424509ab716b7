package observation

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// Change is a field that Fill gave another value.
type Change struct {
	Path string `json:"path"`
	// From is what was there, as it is written; empty: nothing was.
	From string `json:"from,omitzero"`
	To   string `json:"to"`
}

// Filled is a file with what was seen in it.
type Filled struct {
	Text []byte
	// Changes of events, people, images and where that comes from, in this order.
	// What had the value already is not among them.
	Changes []Change
	// Left says what was seen and has no place in the file.
	Left []string
}

// Fill puts what was seen into the text of a file, in YAML or JSON, and leaves
// the rest of it as it is, comments too. called is the name of the file. Errors
// are those of organization.Decode, or *dormer.InvalidError for a text that is
// laid out so that a value cannot be changed in its place.
func Fill(raw []byte, called string, seen *Observation) (*Filled, error) {
	o, err := organization.Decode(raw, called)
	if err != nil {
		return nil, err
	}
	f := filling{}
	f.events(&o.Spec.Events, &seen.Events)
	f.people(o.Spec.Sites, seen)
	f.images(o.Spec.Images, seen.Images)
	f.source(o, seen)
	text, err := document.Splice(raw, f.edits)
	if err != nil {
		return nil, err
	}
	// What a text says is what its reader takes it for.
	again, err := organization.Decode(text, called)
	if err != nil {
		return nil, fmt.Errorf("what was seen does not fit into the file: %w", err)
	}
	if !reflect.DeepEqual(o, again) {
		return nil, dormer.Invalidf("", "the file is laid out so that values cannot be changed in their places; set them by hand, as 'dormer plan observe' without a file shows them")
	}
	return &Filled{Text: text, Changes: f.changes, Left: f.left}, nil
}

// filling gathers what changes.
type filling struct {
	edits   []document.Edit
	changes []Change
	left    []string
}

// set notes a value; was is what was there, empty for nothing.
func (f *filling) set(path, was string, value any) {
	to := fmt.Sprint(value)
	if was == to {
		return
	}
	f.edits = append(f.edits, document.Edit{Path: path, Value: value})
	f.changes = append(f.changes, Change{Path: path, From: was, To: to})
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// mostEvents is the most that the file may say of events a day and their bytes.
const mostEvents = 10_000

func atMost(n float64) int { return int(math.Ceil(min(n, mostEvents))) }

// events fills in how many there are and what one takes. That was measured with
// indexes and all, so the safety factor for these is taken out.
func (f *filling) events(e *organization.Events, seen *Flow) {
	const path = "spec.events."
	if n := atMost(seen.PerDay); n > 0 {
		f.set(path+"perDay", number(e.PerDay), n)
		e.PerDay = n
	}
	if n := atMost(seen.Stored); n > 0 {
		f.set(path+"bytes", number(e.Bytes), n)
		e.Bytes = n
		was := ""
		if e.Overhead != nil {
			was = e.Overhead.String()
		}
		none := document.Percent(0)
		f.set(path+"overhead", was, none.String())
		e.Overhead = &none
	}
}

// enoughClients is how many a share of clients must come from.
const enoughClients = 20

// people fills in how many are on-line at once: of each crowd the share that
// was seen.
func (f *filling) people(sites []organization.Site, seen *Observation) {
	if seen.Peak == 0 {
		return
	}
	if seen.Clients < enoughClients {
		f.left = append(f.left, fmt.Sprintf("Only %s seen: people[].active stays as it is until there are %d, of which a share says something.",
			figure.Counted(seen.Clients, "client was", "clients were"), enoughClients))
		return
	}
	share := float64(seen.Peak) / float64(seen.Clients)
	for i := range sites {
		for j := range sites[i].People {
			c := &sites[i].People[j]
			n := min(int(math.Ceil(float64(c.Users)*share-1e-9)), c.Users)
			was := ""
			if c.Active != nil {
				was = strconv.Itoa(*c.Active)
			} else if n == c.Users {
				continue
			}
			f.set(fmt.Sprintf("spec.sites[%d].people[%d].active", i, j), was, n)
			c.Active = &n
		}
	}
}

func size(s document.Size) string {
	if s == 0 {
		return ""
	}
	return s.String()
}

// sized is a number of bytes as it is written: whole MiB, in large sizes whole
// GiB, rounded up.
func sized(n int64) document.Size {
	unit := document.MiB
	if n >= 64*int64(document.GiB) {
		unit = document.GiB
	}
	return max((document.Size(n)+unit-1)/unit, 1) * unit
}

// every is a time between versions as it is written: whole days from two on,
// else whole hours, within what the file may say.
func every(seconds float64) document.Duration {
	const unit, day, most = time.Hour, 24 * time.Hour, 3650 * 24 * time.Hour
	d := time.Duration(min(seconds, most.Seconds()) * float64(time.Second))
	if d >= 2*day {
		return document.Duration(d.Round(day))
	}
	return document.Duration(max(d.Round(unit), unit))
}

func (f *filling) images(images []organization.Image, seen []Image) {
	known := map[string]int{}
	for i, image := range images {
		known[name.Fold(image.Name)] = i
	}
	for _, s := range seen {
		i, ok := known[name.Fold(s.Name)]
		if !ok {
			f.left = append(f.left, fmt.Sprintf("Image %s is in the repository and not in the file.", s.Name))
			continue
		}
		image := &images[i]
		path := fmt.Sprintf("spec.images[%d].", i)
		change := func(field string, into *document.Size, n int64) {
			if n > 0 {
				f.set(path+field, size(*into), sized(n).String())
				*into = sized(n)
			}
		}
		change("packed", &image.Packed, s.Packed)
		change("disk", &image.Disk, s.Used)
		change("update", &image.Update, s.Update)
		if s.Every > 0 {
			was := ""
			if image.Every != 0 {
				was = image.Every.String()
			}
			f.set(path+"every", was, every(s.Every).String())
			image.Every = every(s.Every)
		}
	}
}

// source fills in where the figures come from.
func (f *filling) source(o *organization.Organization, seen *Observation) {
	const path = "spec.observed."
	is := organization.Observed{Server: seen.Server, At: seen.At.Format(time.DateOnly), Days: seen.Days, Clients: seen.Clients, Peak: seen.Peak}
	was := *cmp.Or(o.Spec.Observed, &organization.Observed{})
	counted := func(n int) string {
		if o.Spec.Observed == nil {
			return ""
		}
		return strconv.Itoa(n)
	}
	f.set(path+"server", was.Server, is.Server)
	f.set(path+"at", was.At, is.At)
	f.set(path+"days", number(was.Days), is.Days)
	f.set(path+"clients", counted(was.Clients), is.Clients)
	f.set(path+"peak", counted(was.Peak), is.Peak)
	o.Spec.Observed = &is
}

// Fragment is what was seen as a part of a file, in YAML.
func (seen *Observation) Fragment() []byte {
	var b strings.Builder
	b.WriteString("spec:\n")
	if e := seen.Events; e.PerDay > 0 || e.Stored > 0 {
		b.WriteString("  events:\n")
		if e.PerDay > 0 {
			fmt.Fprintf(&b, "    perDay: %d\n", atMost(e.PerDay))
		}
		if e.Stored > 0 {
			fmt.Fprintf(&b, "    bytes: %d # in the database, with indexes\n    overhead: 0%% # which bytes have in them\n", atMost(e.Stored))
		}
	}
	if len(seen.Images) > 0 {
		b.WriteString("  images:\n")
	}
	for _, i := range seen.Images {
		fmt.Fprintf(&b, "    - name: %q\n      packed: %s\n      disk: %s\n", i.Name, sized(i.Packed), sized(i.Used))
		if i.Every > 0 {
			fmt.Fprintf(&b, "      update: %s\n      every: %s\n", sized(i.Update), every(i.Every))
		}
	}
	fmt.Fprintf(&b, "  observed:\n    server: %q\n    at: %q\n    days: %d\n    clients: %d\n    peak: %d # %s\n", seen.Server, seen.At.Format(time.DateOnly),
		seen.Days, seen.Clients, seen.Peak, "on-line at once; people[].active is this share of users")
	return []byte(b.String())
}
