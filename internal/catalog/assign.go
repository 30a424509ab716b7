package catalog

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
)

// snapshot is all workspaces as they were at one moment, indexed by who is
// granted what. It is replaced, never changed, but for what its workspaces
// prepare on demand.
type snapshot struct {
	generation uint64
	workspaces map[dormer.WorkspaceID]*workspace
	granted    map[dormer.UserID][]grantRef // by principal
}

// grantRef is one grant of one workspace.
type grantRef struct {
	w     *workspace
	grant int
}

// workspace is one revision of a workspace and the image that it names now.
type workspace struct {
	revision Revision
	doc      *policy.Document
	image    resolved

	mu sync.Mutex
	// guards the field below
	prepared map[string]*prepared // by the grants in force
}

// resolved is what the name of an image stands for. problem says for the user
// why there is none.
type resolved struct {
	Image
	problem string
}

// prepared is what one combination of grants comes to.
type prepared struct {
	once  sync.Once
	terms *lease.Entitlement
	err   error
}

// Assignments is what a user gets.
type Assignments struct {
	// Generation is that of the documents and images it was made from.
	Generation uint64
	// Until is when a grant ends and it must be worked out again; zero: not by
	// itself.
	Until time.Time
	// Entitlements are shared; do not change them.
	Entitlements []*lease.Entitlement
}

// Generation changes whenever a workspace or an image did.
func (c *Catalog) Generation() uint64 { return c.snapshot.Load().generation }

// Assignments says what a user of these groups gets on a client: policy and
// image by hash for each workspace, the only place where that is decided. The
// client is not asked yet: roll-out rings will.
func (c *Catalog) Assignments(ctx context.Context, user dormer.Principal, groups []dormer.Principal, _ dormer.ClientID) (Assignments, error) {
	s := c.snapshot.Load()
	now := c.cfg.Now()
	grants := s.grantsOf(user, groups)
	out := Assignments{Generation: s.generation, Entitlements: make([]*lease.Entitlement, 0, len(grants))}
	for w, of := range grants {
		if next := w.nextEnd(of, now, c.cfg.Zone); !next.IsZero() && (out.Until.IsZero() || next.Before(out.Until)) {
			out.Until = next
		}
		e, err := c.entitlement(ctx, w, of, now)
		if err != nil {
			return Assignments{}, err
		}
		out.Entitlements = append(out.Entitlements, e)
	}
	slices.SortFunc(out.Entitlements, func(a, b *lease.Entitlement) int { return cmp.Compare(a.Workspace, b.Workspace) })
	return out, nil
}

// grantsOf returns the places of the grants that are for a user of these
// groups, ascending, by workspace.
func (s *snapshot) grantsOf(user dormer.Principal, groups []dormer.Principal) map[*workspace][]int {
	grants := make(map[*workspace][]int)
	add := func(p dormer.Principal, kind dormer.PrincipalKind) {
		for _, ref := range s.granted[p.ID()] {
			if ref.w.doc.Grants[ref.grant].Principal.Kind == kind {
				grants[ref.w] = append(grants[ref.w], ref.grant)
			}
		}
	}
	add(user, dormer.KindUser)
	for _, g := range groups {
		add(g, dormer.KindGroup)
	}
	for w, of := range grants {
		slices.Sort(of)
		grants[w] = slices.Compact(of)
	}
	return grants
}

// nextEnd returns the first instant after now at which one of the grants ends,
// or zero.
func (w *workspace) nextEnd(of []int, now time.Time, zone *time.Location) time.Time {
	var next time.Time
	for _, i := range of {
		d := w.doc.Grants[i].Expires
		if d == nil {
			continue
		}
		end, err := d.End(zone)
		if err != nil || !end.After(now) {
			continue
		}
		if next.IsZero() || end.Before(next) {
			next = end
		}
	}
	return next
}

// entitlement returns what the grants of w come to now, prepared once for all
// who have the same.
func (c *Catalog) entitlement(ctx context.Context, w *workspace, of []int, now time.Time) (*lease.Entitlement, error) {
	key := make([]byte, 0, 4*len(of)+1)
	grants := make([]policy.Grant, 0, len(of))
	for _, i := range of {
		g := w.doc.Grants[i]
		inForce := true
		if g.Expires != nil {
			end, err := g.Expires.End(c.cfg.Zone)
			if err != nil {
				return nil, fmt.Errorf("workspace %s: %w", w.revision.Name, err)
			}
			inForce = now.Before(end)
		}
		key = binary.BigEndian.AppendUint32(key, uint32(i)<<1|bit(inForce))
		grants = append(grants, g)
	}
	w.mu.Lock()
	p := w.prepared[string(key)]
	if p == nil {
		p = &prepared{}
		w.prepared[string(key)] = p
	}
	w.mu.Unlock()
	p.once.Do(func() { p.terms, p.err = c.combine(ctx, w, grants, now) })
	if p.err != nil {
		// Not for good: the store may answer next time.
		w.mu.Lock()
		if w.prepared[string(key)] == p {
			delete(w.prepared, string(key))
		}
		w.mu.Unlock()
	}
	return p.terms, p.err
}

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// combine makes the effective policy and stores its bytes.
func (c *Catalog) combine(ctx context.Context, w *workspace, grants []policy.Grant, now time.Time) (*lease.Entitlement, error) {
	e, effective, err := c.terms(w, grants, now)
	if err != nil {
		return nil, fmt.Errorf("workspace %s: %w", w.revision.Name, err)
	}
	if e.Refused != "" {
		return e, nil // nobody fetches its policy
	}
	if e.PolicyHash, err = c.keep(ctx, effective.CanonicalJSON()); err != nil {
		return nil, fmt.Errorf("workspace %s: %w", w.revision.Name, err)
	}
	return e, nil
}

// terms works out what grants of w come to at now: the one place where a
// user's policy and image are decided, for leases and for Why. The entitlement
// has no PolicyHash yet.
func (c *Catalog) terms(w *workspace, grants []policy.Grant, now time.Time) (*lease.Entitlement, policy.Effective, error) {
	inForce, err := policy.InForce(grants, now, c.cfg.Zone)
	if err != nil {
		return nil, policy.Effective{}, err
	}
	effective := policy.Combine(w.doc.Spec, inForce)
	e := &lease.Entitlement{
		Workspace: w.revision.Workspace, WorkspaceName: w.revision.Name, Revision: w.revision.Number,
		Image: w.image.ID, ImageName: fmt.Sprintf("%s/%d", w.doc.Spec.Machine.Image.Name, w.image.Number), RepositoryKey: w.image.KeyID,
		Requires: effective.Requires(), NamePattern: effective.Setup.ComputerName,
		RefusesUnmanaged: effective.General.UnmanagedClients == policy.UnmanagedRefuse,
	}
	switch {
	case !effective.Deployment.Enabled:
		e.Refused = fmt.Sprintf("workspace %s is disabled for you", w.revision.Name)
	case w.image.problem != "":
		e.Refused = fmt.Sprintf("workspace %s: %s", w.revision.Name, w.image.problem)
	}
	end, ends, err := effective.ExpiresAt(c.cfg.Zone)
	if err != nil {
		return nil, policy.Effective{}, err
	}
	if ends {
		end = end.UTC()
		e.ValidUntil = &end
	}
	e.DeleteWhen, e.Delete = deletes(e, &effective.Deployment, now)
	switch o := effective.Deployment.Offline; o.Allow {
	case policy.OfflineUnrestricted:
	case policy.OfflineLimited:
		limit := o.Limit.Duration()
		e.Offline = &limit
	default:
		e.Offline = new(time.Duration)
	}
	return e, effective, nil
}

// deletes says at which limits a client deletes a machine by itself, and why it
// is to be deleted now, if it is. To delete at the limit (atLimit) stands for
// every limit.
func deletes(e *lease.Entitlement, d *policy.EffectiveDeployment, now time.Time) (at []lease.Verdict, why string) {
	always := d.AtLimit.Action == policy.LimitDelete
	expired := d.DeleteWhen.Expired || always
	if expired && e.ValidUntil != nil {
		at = append(at, lease.Expired)
	}
	if d.DeleteWhen.Offline || always {
		at = append(at, lease.OfflineTooLong)
	}
	switch {
	case !d.Enabled && (d.DeleteWhen.Disabled || always):
		why = fmt.Sprintf("workspace %s was disabled for you, and its machine is deleted then", e.WorkspaceName)
	case d.Enabled && expired && e.ValidUntil != nil && !now.Before(*e.ValidUntil):
		why = fmt.Sprintf("the permission to use workspace %s ended at %s, and its machine is deleted then", e.WorkspaceName, e.ValidUntil.Format(time.RFC3339))
	}
	return at, why
}

// Refresh reads workspaces and images again and swaps the snapshot when
// something changed. The server calls it after changes of its own and now and
// then for those of other replicas.
func (c *Catalog) Refresh(ctx context.Context) error {
	c.refresh.Lock()
	defer c.refresh.Unlock()
	revisions, err := c.cfg.Store.Workspaces(ctx)
	if err != nil {
		return fmt.Errorf("load workspaces: %w", err)
	}
	old := c.snapshot.Load()
	next := &snapshot{
		generation: old.generation + 1,
		workspaces: make(map[dormer.WorkspaceID]*workspace, len(revisions)),
		granted:    make(map[dormer.UserID][]grantRef),
	}
	changed := len(revisions) != len(old.workspaces)
	images := make(map[imageRef]resolved)
	for _, r := range revisions {
		w, err := c.load(ctx, r, old.workspaces[r.Workspace], images)
		if err != nil {
			// One that cannot be read takes nothing from the others.
			c.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a workspace cannot be read; its users get no leases",
				slog.String("workspace", string(r.Workspace)), slog.Any("error", err))
			changed = changed || old.workspaces[r.Workspace] != nil
			continue
		}
		changed = changed || w != old.workspaces[r.Workspace]
		next.workspaces[r.Workspace] = w
		for i, g := range w.doc.Grants {
			id := g.Principal.Resolved().ID()
			next.granted[id] = append(next.granted[id], grantRef{w: w, grant: i})
		}
	}
	if changed {
		c.snapshot.Store(next)
	}
	return nil
}

type imageRef struct {
	name   string
	number int
}

// load returns the workspace of a revision: the one that is loaded when
// neither document nor image changed.
func (c *Catalog) load(ctx context.Context, r Revision, loaded *workspace, images map[imageRef]resolved) (*workspace, error) {
	w := &workspace{revision: r, prepared: make(map[string]*prepared)}
	var last resolved
	if loaded != nil {
		last = loaded.image
		if loaded.revision.ETag == r.ETag && loaded.revision.Number == r.Number {
			w.doc = loaded.doc
		}
	}
	same := w.doc != nil
	if w.doc == nil {
		var err error
		if w.doc, err = policy.DecodeStored(r.Document); err != nil {
			return nil, err
		}
	}
	w.revision.Document = nil
	ref := w.doc.Spec.Machine.Image
	if loaded != nil && !same && loaded.doc.Spec.Machine.Image.Name != ref.Name {
		last = resolved{}
	}
	w.image = c.resolve(ctx, ref, last, images)
	if same && w.image == loaded.image {
		return loaded, nil
	}
	return w, nil
}

// resolve finds an image; last is what the name stood for before, which stays
// while the repository does not answer.
func (c *Catalog) resolve(ctx context.Context, ref policy.Image, last resolved, images map[imageRef]resolved) resolved {
	if ref.Source != "" && ref.Source != policy.SourceServer {
		return resolved{problem: "its image is on an administrator's computer, not in the repository"}
	}
	key := imageRef{name: ref.Name}
	if ref.Version != nil {
		key.number = *ref.Version
	}
	if found, ok := images[key]; ok {
		return found
	}
	image, err := c.cfg.Images.Resolve(ctx, key.name, key.number)
	out := resolved{Image: image}
	switch {
	case err == nil:
	case errors.Is(err, dormer.ErrNotFound) && key.number > 0:
		out = resolved{problem: fmt.Sprintf("version %d of image %s is not in the repository", key.number, key.name)}
	case errors.Is(err, dormer.ErrNotFound):
		out = resolved{problem: fmt.Sprintf("image %s is not in the repository", key.name)}
	case last.ID != "" && (key.number == 0 || key.number == last.Number):
		return last
	default:
		c.cfg.Logger.LogAttrs(ctx, slog.LevelError, "an image cannot be looked up", slog.String("image", key.name), slog.Any("error", err))
		out = resolved{problem: fmt.Sprintf("image %s cannot be looked up now", key.name)}
	}
	images[key] = out
	return out
}
