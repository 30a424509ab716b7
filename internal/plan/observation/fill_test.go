package observation_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/plan/observation"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

const before = `# Our plan
apiVersion: dormer/v1
kind: Organization
metadata:
  name: Corp
spec:
  sites:
    - name: Berlin # headquarters
      people:
        - users: 1000
          active: 900 # a guess
        - {users: 10, department: Payroll}
  images:
    - name: office
      packed: 4GiB # as bought
    - {name: Lab, packed: 1GiB}
  workspaces:
    - {name: Office, image: office}
    - {name: Lab, image: Lab}
  events:
    # what the guide says
    perDay: 20 # a day
`

const after = `# Our plan
apiVersion: dormer/v1
kind: Organization
metadata:
  name: Corp
spec:
  sites:
    - name: Berlin # headquarters
      people:
        - users: 1000
          active: 800 # a guess
        - {users: 10, department: Payroll, active: 8}
  images:
    - name: office
      packed: 5GiB # as bought
      disk: 15GiB
      update: 700MiB
      every: 28d
    - {name: Lab, packed: 1GiB}
  workspaces:
    - {name: Office, image: office}
    - {name: Lab, image: Lab}
  events:
    # what the guide says
    perDay: 17 # a day
    bytes: 195
    overhead: 0%
  observed:
    server: "https://dormer.example.com"
    at: "2026-11-22"
    days: 30
    clients: 1000
    peak: 800
`

func seenOfCorp() *observation.Observation {
	return &observation.Observation{
		Server: "https://dormer.example.com", At: now, Days: 30, Clients: 1000, Peak: 800,
		Events: observation.Flow{Received: 400_000, PerDay: 16.7, Stored: 194.5},
		Images: []observation.Image{
			{Name: "Office", Versions: 4, Packed: 5 << 30, Used: 15 << 30, Update: 700 << 20, Every: (28 * day).Seconds()},
			{Name: "other", Versions: 1, Packed: 1},
		},
	}
}

func TestFill(t *testing.T) {
	f, err := observation.Fill([]byte(before), "corp.yaml", seenOfCorp())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(after, string(f.Text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := []observation.Change{
		{Path: "spec.events.perDay", From: "20", To: "17"},
		{Path: "spec.events.bytes", To: "195"},
		{Path: "spec.events.overhead", To: "0%"},
		{Path: "spec.sites[0].people[0].active", From: "900", To: "800"},
		{Path: "spec.sites[0].people[1].active", To: "8"},
		{Path: "spec.images[0].packed", From: "4GiB", To: "5GiB"},
		{Path: "spec.images[0].disk", To: "15GiB"},
		{Path: "spec.images[0].update", To: "700MiB"},
		{Path: "spec.images[0].every", To: "28d"},
		{Path: "spec.observed.server", To: "https://dormer.example.com"},
		{Path: "spec.observed.at", To: "2026-11-22"},
		{Path: "spec.observed.days", To: "30"},
		{Path: "spec.observed.clients", To: "1000"},
		{Path: "spec.observed.peak", To: "800"},
	}
	if diff := cmp.Diff(want, f.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Image other is in the repository and not in the file."}, f.Left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	again, err := observation.Fill(f.Text, "corp.yaml", seenOfCorp())
	if err != nil || len(again.Changes) != 0 || string(again.Text) != after {
		t.Errorf("again: %v, %v", again, err)
	}
}

// TestFewClientsSayNothingOfAShare: a pilot of some computers, all of which are on,
// leaves how many are on at once as it is in the file.
func TestFewClientsSayNothingOfAShare(t *testing.T) {
	seen := seenOfCorp()
	seen.Clients, seen.Peak = 19, 19
	f, err := observation.Fill([]byte(before), "corp.yaml", seen)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Changes {
		if strings.HasSuffix(c.Path, ".active") {
			t.Errorf("changed: %+v", c)
		}
	}
	if want := "Only 19 clients were seen: people[].active stays as it is until there are 20, of which a share says something."; !slices.Contains(f.Left, want) {
		t.Errorf("left: %q", f.Left)
	}
}

// TestFillOthers: the example, JSON, and what was seen of nothing.
func TestFillOthers(t *testing.T) {
	example := organization.Example()
	f, err := observation.Fill(example, "", seenOfCorp())
	if err != nil {
		t.Fatal(err)
	}
	if n, m := strings.Count(string(f.Text), "#"), strings.Count(string(example), "#"); n != m {
		t.Errorf("the example has %d comments, had %d", n, m)
	}
	o, err := organization.Decode([]byte(before), "")
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := os.ReadFile("testdata/corp.json")
	if err != nil {
		t.Fatal(err)
	}
	f, err = observation.Fill(asJSON, "corp.json", seenOfCorp())
	if err != nil {
		t.Fatal(err)
	}
	got, err := organization.Decode(f.Text, "corp.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := organization.Decode([]byte(after), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want.YAML()), string(got.YAML())); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	nothing := &observation.Observation{Server: "https://dormer.example.com", At: now, Days: 30}
	f, err = observation.Fill([]byte(before), "", nothing)
	if err != nil || len(f.Changes) != 5 || o.Spec.Observed != nil {
		t.Errorf("nothing: %v, %v", f, err)
	}
}

func TestFillRefuses(t *testing.T) {
	odd := strings.Replace(before, "perDay: 20 # a day", "perDay:\n      20", 1)
	if f, err := observation.Fill([]byte(odd), "", seenOfCorp()); err == nil && !strings.Contains(string(f.Text), "17") || err != nil && !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if _, err := observation.Fill([]byte("apiVersion: dormer/v1\n"), "", seenOfCorp()); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("an organization that is none: %v", err)
	}
}

// TestFillExtremes: what is beyond what the file may say becomes the nearest
// that it may.
func TestFillExtremes(t *testing.T) {
	for _, n := range []float64{1, 1e9} {
		seen := seenOfCorp()
		seen.Events.PerDay, seen.Events.Stored, seen.Images[0].Every, seen.Images[0].Update = n, n, n, 1
		if _, err := observation.Fill([]byte(before), "", seen); err != nil {
			t.Errorf("%g: %v", n, err)
		}
	}
}

// TestFragment: what is printed without a file can be pasted into one.
func TestFragment(t *testing.T) {
	got := string(seenOfCorp().Fragment())
	want := `spec:
  events:
    perDay: 17
    bytes: 195 # in the database, with indexes
    overhead: 0% # which bytes have in them
  images:
    - name: "Office"
      packed: 5GiB
      disk: 15GiB
      update: 700MiB
      every: 28d
    - name: "other"
      packed: 1MiB
      disk: 1MiB
  observed:
    server: "https://dormer.example.com"
    at: "2026-11-22"
    days: 30
    clients: 1000
    peak: 800 # on-line at once; people[].active is this share of users
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
