package agent

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

const (
	imageOne   = dormer.ImageID("sha256:1111111111111111aaaa")
	imageTwo   = dormer.ImageID("sha256:2222222222222222aaaa")
	imageThree = dormer.ImageID("sha256:3333333333333333aaaa")
)

// version makes leases name a version of the image.
func (d *desk) version(id dormer.ImageID, name string) {
	d.t.Helper()
	d.terms(func(l *lease.Lease) { l.Image, l.ImageName = id, name })
}

func (d *desk) startOver() hypervisor.Spec {
	d.t.Helper()
	before := d.host.Starts()
	d.act(agentapi.CommandRestart)
	d.eventually("restarted", func() bool { return d.host.Starts() == before+1 && d.running() == 1 })
	d.await("running", func(w agentapi.Workspace) bool { return w.State == "running" && w.Ready })
	d.awaitArranged()
	return d.host.Running()[0]
}

// baseOf is the image of the machine that runs.
func baseOf(s hypervisor.Spec) dormer.ImageID { return s.Base[0].Image.Image }

func (d *desk) update(q agentapi.UpdateRequest) error {
	_, err := d.agent.Update(d.t.Context(), anne, "Office", q)
	return err
}

func onVersionOne(t *testing.T, spec string) *desk {
	return aWorkspace(t, spec, "", func(d *desk) {
		d.house.terms = func(l *lease.Lease) { l.Image, l.ImageName = imageOne, "office/1" }
	})
}

func TestUpdateSuggested(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.updates.mode", "spec.machine.keepOldVersions")
	for _, kind := range []string{"revertible", "persistent"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := onVersionOne(t, "machine: {revertible: "+map[string]string{"revertible": "true", "persistent": "false"}[kind]+", keepOldVersions: 1}")
			d.startUp()
			first := d.host.Running()[0]
			if err := d.update(agentapi.UpdateRequest{}); !errors.Is(err, dormer.ErrConflict) {
				t.Errorf("took what there is not: %v", err)
			}
			d.version(imageTwo, "office/2")
			d.await("offered", func(w agentapi.Workspace) bool { return w.Update == "office/2" && w.Image == "office/1" })
			d.mustTell(event.UpdateOffered, 1)
			if s := d.startOver(); baseOf(s) != imageOne || s.Layer != first.Layer {
				t.Errorf("it moved to %s unasked", baseOf(s))
			}
			if err := d.update(agentapi.UpdateRequest{}); err != nil {
				t.Fatal(err)
			}
			if w, _ := d.workspace(); w.UpdateAtNextStart != "office/2" || w.Update != "" || w.Image != "office/1" {
				t.Errorf("once chosen: %+v", w)
			}
			for _, back := range []bool{true, false} {
				if err := d.update(agentapi.UpdateRequest{Back: back}); err != nil {
					t.Fatal(err)
				}
				if w, _ := d.workspace(); (w.UpdateAtNextStart == "") != back {
					t.Errorf("once taken back (%t): %+v", back, w)
				}
			}
			d.restart()
			d.awaitState("running")
			second := d.startOver()
			if baseOf(second) != imageTwo || second.Layer == first.Layer || second.ComputerName != first.ComputerName {
				t.Errorf("after the update: %+v", second)
			}
			d.mustTell(event.UpdateTaken, 1)
			d.await("the earlier one is kept", func(w agentapi.Workspace) bool { return w.Earlier == "office/1" && w.Image == "office/2" })

			for _, back := range []bool{true, false} {
				if err := d.update(agentapi.UpdateRequest{Back: back}); err != nil {
					t.Fatal(err)
				}
				if w, _ := d.workspace(); (w.UpdateAtNextStart == "office/1") != back {
					t.Errorf("once back is taken back (%t): %+v", back, w)
				}
			}
			if err := d.update(agentapi.UpdateRequest{Back: true, Now: true}); err != nil {
				t.Fatal(err)
			}
			d.eventually("back", func() bool { r := d.host.Running(); return len(r) == 1 && baseOf(r[0]) == imageOne })
			if kind == "persistent" && d.host.Running()[0].Layer != first.Layer {
				t.Errorf("it went back to another layer: %s", d.host.Running()[0].Layer)
			}
			d.poll()
			if s := d.startOver(); baseOf(s) != imageOne {
				t.Error("it took the version again that its user went back from")
			}
		})
	}
}

func TestUpdateForced(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.updates.mode")
	d := onVersionOne(t, "machine: {revertible: false, onStop: save-state, updates: {mode: force}, keepOldVersions: 0}")
	d.startUp()
	first := d.host.Running()[0]
	layerFile := d.machine().folder.path(DirDisks, hypervisor.FileLayer(hypervisor.OverlayKeep, first.Layer, 0))
	if err := os.WriteFile(layerFile, []byte("a layer"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.version(imageTwo, "office/2")
	d.await("taken at the next start", func(w agentapi.Workspace) bool { return w.UpdateAtNextStart == "office/2" })
	d.never("it restarts by itself", func() bool { return d.host.Starts() != 1 })
	d.act(agentapi.CommandStop)
	d.awaitState("ready") // its state is not saved: the next start is a fresh one
	d.startUp()
	if s := d.host.Running()[0]; baseOf(s) != imageTwo || s.Data == nil {
		t.Errorf("after the update: %+v", s)
	}
	d.eventually("the old layer is deleted once the new guest is up", func() bool {
		_, err := os.Stat(layerFile)
		return errors.Is(err, os.ErrNotExist)
	})
	if err := d.update(agentapi.UpdateRequest{Back: true}); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("went back to what is not kept: %v", err)
	}
}

func TestUpdateWithoutDataConvention(t *testing.T) {
	t.Parallel()
	d := onVersionOne(t, "machine: {revertible: false, updates: {mode: force}}")
	images, ok := d.images.(*someImages)
	if !ok {
		t.Fatal("other images")
	}
	images.mu.Lock()
	images.data[imageTwo] = ""
	images.mu.Unlock()
	d.startUp()
	d.version(imageTwo, "office/2")
	d.await("why not", func(w agentapi.Workspace) bool { return strings.Contains(w.UpdateProblem, "stay behind") })
	if err := d.update(agentapi.UpdateRequest{}); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("taken: %v", err)
	}
	if s := d.startOver(); baseOf(s) != imageOne {
		t.Error("it left the user's data behind")
	}
	if n := d.told(event.UpdateOffered); n != 0 {
		t.Error("it was offered")
	}
	d.version(imageThree, "office/3")
	d.await("the next can be taken", func(w agentapi.Workspace) bool { return w.UpdateAtNextStart == "office/3" })
	if s := d.startOver(); baseOf(s) != imageThree {
		t.Errorf("it runs %s", baseOf(s))
	}
}

func TestOldVersionsAreCollected(t *testing.T) {
	t.Parallel()
	d := onVersionOne(t, "machine: {revertible: false, updates: {mode: force}, keepOldVersions: 1}")
	d.startUp()
	for _, v := range []struct {
		id   dormer.ImageID
		name string
	}{{imageTwo, "office/2"}, {imageThree, "office/3"}} {
		d.version(v.id, v.name)
		d.await("here", func(w agentapi.Workspace) bool { return w.UpdateAtNextStart == v.name })
		d.startOver()
	}
	d.await("one is kept", func(w agentapi.Workspace) bool { return w.Earlier == "office/2" })
	// What is not wholly looked at yet keeps everything, so it may need another go.
	d.eventually("the version before them is collected, these are kept", func() bool {
		_, all := d.agent.all()
		if err := d.agent.collect(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		return !d.images.Has(imageOne)
	})
	for _, id := range []dormer.ImageID{imageTwo, imageThree} {
		if !d.images.Has(id) {
			t.Errorf("%s was collected", id)
		}
	}
}
