package producttest

import (
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestDeliverySavings: a client gets a version and then the next, which has most
// in common with it; the server can tell what was saved, and a restart of the
// agent makes nothing count twice.
func TestDeliverySavings(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	from := t.TempDir()
	first, err := i.Push(t.Context(), from, "office")
	if err != nil {
		t.Fatal(err)
	}
	i.user("alice")
	i.workspace("Office", strings.Replace(office, "revertible: false", "revertible: true", 1), grant("alice"))
	c := newComputer(t, "desk")
	c.enrol(i.joinToken())
	c.signIn(alice, "alice")
	c.await(alice, "ready")
	of := func(v rest.ImageVersion) rest.DeliveryReport {
		t.Helper()
		d, err := i.Admin.Delivery(t.Context(), 2, "UTC", v.Image)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	eventually(t, "the first version is delivered", func() bool {
		return c.refresh() == nil && of(first).Total.Deliveries == 1
	})
	if d := of(first).Total; d.Size <= 0 || d.Size > first.Stored || d.Fetched != d.Size || d.Saved != 0 {
		t.Errorf("the first version, of %d bytes: %+v", first.Stored, d)
	}

	second, err := i.PushOver(t.Context(), t.TempDir(), first, from)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second version is delivered", func() bool {
		return c.refresh() == nil && of(second).Total.Deliveries == 1
	})
	c.restart()
	c.mustRefresh()
	i.Ahead.Add(int64(time.Minute)) // names of versions are looked up again by then
	d := of(second)
	if d.Total.Saved <= d.Total.Size/2 || d.Total.Fetched <= 0 || d.Total.Fetched+d.Total.Saved != d.Total.Size || len(d.Images) != 1 || d.Images[0].Clients != 1 {
		t.Errorf("the second version: %+v", d)
	}
	all := of(rest.ImageVersion{})
	if all.Total.Deliveries != 2 || len(all.Images) != 2 || all.Images[0].Name != "office/2" || all.Images[1].Name != "office/1" ||
		all.Total.Saved != d.Total.Saved || all.Days[0].Size+all.Days[1].Size != all.Total.Size {
		t.Errorf("both versions: %+v", all)
	}
}
