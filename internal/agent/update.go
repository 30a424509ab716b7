package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/workspace"
)

// layer is an earlier machine layer with the image that it lies over. Of a
// revertible machine only the image is kept.
type layer struct {
	Name  string         `json:"name"`
	Image dormer.ImageID `json:"image"`
	// ImageName is NAME/NUMBER.
	ImageName string `json:"image_name"`
}

// update is what is known of the version that the lease names when it is not the
// one in use.
type update struct {
	image dormer.ImageID // that it is about
	busy  bool           // it is being fetched or looked at
	ready bool           // it is here, and can be taken
	why   string         // why it cannot be taken
}

// image is the image that the next start uses, updates aside; "" when it is not
// known, for want of a lease. The caller holds mu.
func (m *machine) image() dormer.ImageID {
	switch {
	case m.settled():
		return m.record.Base
	case m.lease == nil:
		return ""
	default:
		return m.lease.Image
	}
}

// imageName is the name of that image. The caller holds mu.
func (m *machine) imageName() string {
	switch {
	case m.settled() && m.record.BaseName != "":
		return m.record.BaseName
	case m.lease == nil:
		return ""
	default:
		return m.lease.ImageName
	}
}

// settled reports whether the machine has an image of its own. A revertible one
// whose image is gone takes the lease's: it loses nothing. The caller holds mu.
func (m *machine) settled() bool {
	if m.record.Base == "" {
		return false
	}
	return m.record.Overlay == hypervisor.OverlayKeep || m.lease == nil || m.agent.images.Has(m.record.Base)
}

// layerDigits is how much of an image's hash names the machine layer over it.
const layerDigits = 16

// layerOf names the layer over an image: made is how many the machine had before.
func layerOf(id dormer.ImageID, made int) string {
	digits := strings.TrimPrefix(string(id), "sha256:")
	name := digits[:min(len(digits), layerDigits)]
	if made > 0 {
		name += "-" + strconv.Itoa(made)
	}
	return name
}

// layer names the machine layer in use: another name means that what was set up
// in the guest has to be set up again. The caller holds mu.
func (m *machine) layer() string {
	if m.record.Layer != "" {
		return m.record.Layer
	}
	return layerOf(m.image(), 0)
}

// next is the version that the next start takes in the place of the one in use,
// "" for none. The caller holds mu.
func (m *machine) next() dormer.ImageID {
	l, p, r := m.lease, m.policy, &m.record
	if l == nil || p == nil || !m.settled() || l.Image == r.Base || r.Skip == l.Image || m.update.image != l.Image || !m.update.ready {
		return ""
	}
	if p.Machine.Updates.Mode == policy.UpdateSuggest && r.Take != l.Image {
		return ""
	}
	return l.Image
}

// prepareUpdate gets another version that the lease names in the background, and
// offers it once it is here.
func (m *machine) prepareUpdate() {
	m.mu.Lock()
	l := m.lease
	due := l != nil && m.settled() && l.Image != m.record.Base && !m.update.busy && (m.update.image != l.Image || !m.update.ready && m.update.why == "")
	if due {
		m.update = update{image: l.Image, busy: true}
	}
	m.mu.Unlock()
	if !due || m.agent.ctx.Err() != nil {
		return
	}
	m.agent.running.Go(func() { m.getUpdate(m.agent.ctx, l.Image, l.ImageName) })
}

// getUpdate fetches a version and looks whether the machine can take it.
func (m *machine) getUpdate(ctx context.Context, id dormer.ImageID, name string) {
	a := m.agent
	done, err := a.takeTurn(ctx, id)
	if err == nil {
		if !a.images.Has(id) {
			m.mu.Lock()
			l := m.lease
			m.mu.Unlock()
			if l == nil || l.Image != id {
				err = fmt.Errorf("there is no lease for it: %w", dormer.ErrDenied)
			} else {
				err = m.fetch(ctx, l, id, name, func(string) {})
			}
		}
		done()
	}
	why := ""
	if err == nil {
		why, err = m.fits(ctx, id)
	}
	m.mu.Lock()
	if m.update.image != id {
		m.mu.Unlock()
		return
	}
	m.update = update{image: id, ready: err == nil && why == "", why: why}
	offered := m.update.ready && m.record.Offered != id
	if offered {
		m.record.Offered = id
		a.logError(ctx, "record", m.save())
	}
	m.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "a new version of an image is not here yet; it is tried again",
			slog.String("machine", string(m.id)), slog.String("image", name), slog.Any("error", err))
	}
	if offered {
		a.tell(event.New(event.UpdateOffered, a.now(), name), m)
	}
}

// fits says why the machine cannot take an image that is here, "" when it can. A
// persistent one keeps the user's data through an update only where both images
// say where that is.
func (m *machine) fits(ctx context.Context, id dormer.ImageID) (why string, err error) {
	m.mu.Lock()
	keeps, base := m.record.Overlay == hypervisor.OverlayKeep, m.record.Base
	m.mu.Unlock()
	if !keeps {
		return "", nil
	}
	old, err := m.describeImage(ctx, base)
	if err != nil {
		return "", err
	}
	next, err := m.describeImage(ctx, id)
	switch {
	case err != nil:
		return "", err
	case old.Data == nil:
		return "the version in use does not say where the user's data is, so the data would stay behind", nil
	case next.Data == nil:
		return "the new version does not say where the user's data belongs, so the data would stay behind", nil
	case next.Data.Label != old.Data.Label:
		return "the new version looks for the user's data elsewhere (" + next.Data.Label + ", not " + old.Data.Label + ")", nil
	}
	return "", nil
}

// examineUpdate looks at a version that is here before a start, so that one that
// is forced is not missed.
func (m *machine) examineUpdate(ctx context.Context) {
	m.mu.Lock()
	l := m.lease
	due := l != nil && m.settled() && l.Image != m.record.Base && m.update.image != l.Image && m.agent.images.Has(l.Image)
	m.mu.Unlock()
	if !due {
		return
	}
	why, err := m.fits(ctx, l.Image)
	if err != nil {
		return // the background looks again
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.update = update{image: l.Image, ready: why == "", why: why}
}

// settle decides what the start uses. The first start of a machine decides for
// its life whether its changes are kept; each takes a new version, or goes back,
// as the policy and the user say. Saved memory goes on as it is first.
func (m *machine) settle() error {
	if err := m.takeBack(); err != nil {
		return err
	}
	m.mu.Lock()
	p, l, r := m.policy, m.lease, &m.record
	if p == nil || l == nil {
		m.mu.Unlock()
		return nil
	}
	was, taken := *r, ""
	if r.Overlay == "" {
		r.Overlay = hypervisor.OverlayKeep
		if p.Machine.Revertible {
			r.Overlay = hypervisor.OverlayDiscard
		}
	}
	resumes := r.Saved && !m.fresh
	switch {
	case !m.settled():
		r.Base, r.BaseName, r.Layer = l.Image, l.ImageName, ""
	case resumes:
	case r.Back && len(r.Layers) > 0:
		to := r.Layers[0]
		rest := slices.Clone(r.Layers[1:])
		r.Layers = append([]layer{{Name: m.layer(), Image: r.Base, ImageName: r.BaseName}}, rest...)
		r.Skip, r.Take = r.Base, ""
		r.Base, r.BaseName, r.Layer = to.Image, to.ImageName, to.Name
		taken = "back to " + to.ImageName
	case m.next() != "":
		r.Layers = slices.Insert(slices.Clone(r.Layers), 0, layer{Name: m.layer(), Image: r.Base, ImageName: r.BaseName})
		if r.Overlay == hypervisor.OverlayKeep {
			r.Made++
			r.Layer = layerOf(l.Image, r.Made)
		}
		r.Base, r.BaseName = l.Image, l.ImageName
		r.Take, r.Skip = "", ""
		taken = l.ImageName
	}
	r.Back = r.Back && resumes
	err := m.save()
	if err != nil {
		*r = was
	}
	m.mu.Unlock()
	if err == nil && taken != "" {
		m.agent.tell(event.New(event.UpdateTaken, m.agent.now(), taken), m)
	}
	return err
}

// oldImages are the images of earlier layers and of earlier leases that stay here.
func (m *machine) oldImages() []dormer.ImageID {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []dormer.ImageID
	for _, l := range m.record.Layers {
		out = append(out, l.Image)
	}
	keep := len(m.record.Old)
	if m.policy != nil && m.lease != nil && m.agent.images.Has(m.lease.Image) {
		keep = min(keep, m.policy.Machine.KeepOldVersions)
	}
	return append(out, m.record.Old[:keep]...)
}

// dropLayers deletes layers beyond those that the policy keeps. It is called when
// the guest is up: until then the last may be needed.
func (m *machine) dropLayers() error {
	m.mu.Lock()
	if m.policy == nil || len(m.record.Layers) <= m.policy.Machine.KeepOldVersions {
		m.mu.Unlock()
		return nil
	}
	keep := m.policy.Machine.KeepOldVersions
	was, gone := m.record.Layers, m.record.Layers[keep:]
	m.record.Layers = slices.Clone(was[:keep])
	err := m.save()
	if err != nil {
		m.record.Layers = was
	}
	inUse := m.layer()
	m.mu.Unlock()
	if err != nil {
		return err
	}
	for _, l := range gone {
		if l.Name == inUse {
			continue
		}
		if err := m.deleteLayer(l.Name); err != nil {
			return err
		}
	}
	return nil
}

// deleteLayer deletes the files of a machine layer that is not in use.
func (m *machine) deleteLayer(name string) error {
	for disk := range hypervisor.MaxBase {
		path := m.folder.path(DirDisks, hypervisor.FileLayer(hypervisor.OverlayKeep, name, disk))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete an earlier layer: %w", err)
		}
	}
	return nil
}

// Update implements agentapi.Life.
func (a *Agent) Update(_ context.Context, peer agentapi.Peer, which string, q agentapi.UpdateRequest) (agentapi.Workspace, error) {
	m, err := a.machineOf(peer, which)
	if err != nil {
		return agentapi.Workspace{}, err
	}
	if err := m.chooseUpdate(q.Back); err != nil {
		return agentapi.Workspace{}, err
	}
	w := m.describeNow()
	if q.Now && w.UpdateAtNextStart != "" {
		d := workspace.Run
		if m.rec.Snapshot().State.Live() || m.Saved() {
			d = workspace.Restart
		}
		if err := m.want(d); err != nil {
			return agentapi.Workspace{}, err
		}
	}
	return w, nil // as it was chosen; the start may have taken it meanwhile
}

// chooseUpdate notes that the next start takes the version that is offered, or
// goes back to the one before. Either takes the other back while it has not
// happened.
func (m *machine) chooseUpdate(back bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, was := m.lease, m.record
	switch {
	case back && m.record.Take != "" && len(m.record.Layers) == 0:
		m.record.Take = ""
	case back && len(m.record.Layers) == 0:
		return fmt.Errorf("no earlier version is kept here: %w", dormer.ErrNotFound)
	case back:
		m.record.Back, m.record.Take = true, ""
	case l == nil:
		return fmt.Errorf("the workspace has no lease: %w", dormer.ErrDenied)
	case m.record.Back && l.Image == m.record.Base:
		m.record.Back = false
	case !m.settled() || l.Image == m.record.Base:
		return fmt.Errorf("the workspace is up to date (%s): %w", m.imageName(), dormer.ErrConflict)
	case m.update.image == l.Image && m.update.why != "":
		return fmt.Errorf("version %s cannot be taken: %s: %w", l.ImageName, m.update.why, dormer.ErrUnsupported)
	case m.update.image != l.Image || !m.update.ready:
		return fmt.Errorf("version %s is not here yet; it is being fetched: %w", l.ImageName, dormer.ErrUnavailable)
	default:
		m.record.Take, m.record.Skip, m.record.Back = l.Image, "", false
	}
	if err := m.save(); err != nil {
		m.record = was
		return err
	}
	return nil
}

// showUpdate tells the user of another version. The caller holds mu.
func (m *machine) showUpdate(w *agentapi.Workspace) {
	if len(m.record.Layers) > 0 {
		w.Earlier = m.record.Layers[0].ImageName
	}
	l := m.lease
	switch {
	case m.record.Back:
		w.UpdateAtNextStart = w.Earlier
	case l == nil || !m.settled() || l.Image == m.record.Base || m.update.image != l.Image:
	case m.next() != "":
		w.UpdateAtNextStart = l.ImageName
	case m.update.ready:
		w.Update = l.ImageName
	case m.update.why != "":
		w.UpdateProblem = l.ImageName + ": " + m.update.why
	}
}

// describeImage says what machines of an image look like, without touching what this one
// boots.
func (m *machine) describeImage(ctx context.Context, id dormer.ImageID) (Hardware, error) {
	a := m.agent
	a.mu.Lock()
	key, sealed := a.key, a.sealed
	a.mu.Unlock()
	m.mu.Lock()
	l := m.lease
	m.mu.Unlock()
	if l == nil {
		return Hardware{}, fmt.Errorf("there is no lease: %w", dormer.ErrDenied)
	}
	repository, _, err := repositoryKey(key, sealed, l)
	if err != nil {
		return Hardware{}, err
	}
	aside, err := os.MkdirTemp(string(m.folder), DirBoot+suffixNew+"-")
	if err != nil {
		return Hardware{}, fmt.Errorf("look at image: %w", err)
	}
	defer func() { a.logError(ctx, "boot files", os.RemoveAll(aside)) }()
	hw, err := a.images.Describe(ctx, id, repository, aside)
	if err != nil {
		return Hardware{}, fmt.Errorf("look at image: %w", err)
	}
	return hw, nil
}
