package policy

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Combine resolves the policy of one user: the Spec with its defaults, and the
// user's grants combined to the least restrictive value, field by field, as
// docs/combining.md says. A field that a grant does not set takes part as its
// default. The order of the grants does not matter, and one more grant never
// takes anything away.
//
// A grant that is not enabled gives nothing: only its deleteWhen and atLimit
// count, which say what happens to the machine. With no enabled grant the
// result is not enabled and permits nothing.
//
// Grants that have expired take part as they stand; see InForce.
func Combine(spec Spec, grants []Grant) Effective {
	out := resolve(&spec)
	out.Deployment = nothing()
	for i := range grants {
		g := resolveGrant(&grants[i])
		out.Deployment.join(&g)
	}
	return out
}

// InForce returns the grants as they count at now, each in its place: one that
// has expired counts like one that is not enabled while another grant is in
// force, so that it gives nothing more and still says that the machine is
// kept. With no grant in force they are returned as they are: what they say is
// how the workspace ends. A server combines the result.
func InForce(grants []Grant, now time.Time, instance *time.Location) ([]Grant, error) {
	out := slices.Clone(grants)
	some := false
	for i := range out {
		g := &out[i]
		ended := false
		if g.Expires != nil {
			end, err := g.Expires.End(instance)
			if err != nil {
				return nil, err
			}
			ended = !now.Before(end)
		}
		some = some || !ended && !off(g.Enabled)
		if ended {
			g.Enabled = new(false)
		}
	}
	if !some {
		return grants, nil
	}
	return out, nil
}

// nothing is what somebody without a grant may do: the least of everything.
func nothing() EffectiveDeployment {
	return EffectiveDeployment{
		Offline:    EffectiveOffline{Allow: OfflineNone},
		AtLimit:    EffectiveAtLimit{Action: LimitDelete},
		DeleteWhen: EffectiveDeleteWhen{Disabled: true, Expired: true, Offline: true},
		Clipboard:  DirectionNone,
	}
}

// resolveGrant applies the defaults to one grant.
func resolveGrant(g *Grant) EffectiveDeployment {
	out := nothing()
	out.AtLimit = EffectiveAtLimit{Action: chosen(g.AtLimit.Action, LimitStop), Grace: value(g.AtLimit.Grace, 15*minute)}
	out.DeleteWhen = EffectiveDeleteWhen{
		Disabled: value(g.DeleteWhen.Disabled, false),
		Expired:  value(g.DeleteWhen.Expired, false),
		Offline:  value(g.DeleteWhen.Offline, false),
	}
	if out.Enabled = value(g.Enabled, true); !out.Enabled {
		return out
	}
	if g.Expires != nil {
		out.Expires = []Date{*g.Expires}
	}
	out.Offline.Allow = chosen(g.Offline.Allow, OfflineLimited)
	if out.Offline.Allow == OfflineLimited {
		out.Offline.Limit = value(g.Offline.Limit, 7*day)
	}
	out.SavePassword = value(g.SavePassword, false)
	out.Clipboard = chosen(g.Clipboard, DirectionNone)
	out.FileTransfer = EffectiveFileTransfer{
		HostToGuest: g.FileTransfer.HostToGuest.resolve(g.FileTransfer.Direction.ToGuest()),
		GuestToHost: g.FileTransfer.GuestToHost.resolve(g.FileTransfer.Direction.ToHost()),
		MayOverride: value(g.FileTransfer.MayOverride, false),
	}
	out.Printing = value(g.Printing, false)
	out.OpticalDrive = value(g.OpticalDrive, false)
	out.USB = slices.Clone(g.USB)
	out.Audio = value(g.Audio, false)
	out.Microphone = value(g.Microphone, false)
	for _, f := range g.SharedFolders {
		f.Access = chosen(f.Access, FolderReadOnly)
		out.SharedFolders = append(out.SharedFolders, f)
	}
	return out
}

func (r TransferRules) resolve(allowed bool) EffectiveTransfer {
	if !allowed {
		return EffectiveTransfer{}
	}
	out := EffectiveTransfer{Allowed: true}
	for _, e := range r.Extensions {
		out.Extensions = append(out.Extensions, strings.ToLower(e))
	}
	if r.Command != "" {
		out.Commands = []string{r.Command}
	}
	return out
}

// join adds what g permits to d. It is a semilattice whose bottom is nothing():
// commutative, associative and idempotent, so that grants can be joined in any
// order and in parts. d shares nothing with g afterwards.
func (d *EffectiveDeployment) join(g *EffectiveDeployment) {
	d.Expires = lastDays(d, g)
	d.Enabled = d.Enabled || g.Enabled
	d.Offline = d.Offline.join(g.Offline)
	d.AtLimit.Action = least(d.AtLimit.Action, g.AtLimit.Action)
	d.AtLimit.Grace = max(d.AtLimit.Grace, g.AtLimit.Grace)
	d.DeleteWhen.Disabled = d.DeleteWhen.Disabled && g.DeleteWhen.Disabled
	d.DeleteWhen.Expired = d.DeleteWhen.Expired && g.DeleteWhen.Expired
	d.DeleteWhen.Offline = d.DeleteWhen.Offline && g.DeleteWhen.Offline
	d.SavePassword = d.SavePassword || g.SavePassword
	d.Clipboard = direction(d.Clipboard.ToGuest() || g.Clipboard.ToGuest(), d.Clipboard.ToHost() || g.Clipboard.ToHost())
	d.FileTransfer.HostToGuest = d.FileTransfer.HostToGuest.join(g.FileTransfer.HostToGuest)
	d.FileTransfer.GuestToHost = d.FileTransfer.GuestToHost.join(g.FileTransfer.GuestToHost)
	d.FileTransfer.MayOverride = d.FileTransfer.MayOverride || g.FileTransfer.MayOverride
	d.Printing = d.Printing || g.Printing
	d.OpticalDrive = d.OpticalDrive || g.OpticalDrive
	d.USB = union(d.USB, g.USB)
	d.Audio = d.Audio || g.Audio
	d.Microphone = d.Microphone || g.Microphone
	d.SharedFolders = joinFolders(d.SharedFolders, g.SharedFolders)
}

func (o EffectiveOffline) join(other EffectiveOffline) EffectiveOffline {
	modes := []OfflineMode{OfflineNone, OfflineLimited, OfflineUnrestricted}
	out := EffectiveOffline{Allow: modes[max(slices.Index(modes, o.Allow), slices.Index(modes, other.Allow))]}
	if out.Allow == OfflineLimited {
		out.Limit = max(o.Limit, other.Limit)
	}
	return out
}

// least returns the less restrictive action at a limit.
func least(a, b LimitAction) LimitAction {
	actions := []LimitAction{LimitRefuseStart, LimitLock, LimitStop, LimitDelete}
	return actions[min(slices.Index(actions, a), slices.Index(actions, b))]
}

func direction(toGuest, toHost bool) Direction {
	switch {
	case toGuest && toHost:
		return DirectionBoth
	case toGuest:
		return DirectionHostToGuest
	case toHost:
		return DirectionGuestToHost
	default:
		return DirectionNone
	}
}

func (t EffectiveTransfer) join(other EffectiveTransfer) EffectiveTransfer {
	switch {
	case !t.Allowed:
		t, other = other, t
		fallthrough
	case !other.Allowed:
		return EffectiveTransfer{Allowed: t.Allowed, Extensions: union(t.Extensions, nil), Commands: union(t.Commands, nil)}
	}
	out := EffectiveTransfer{Allowed: true}
	if len(t.Extensions) > 0 && len(other.Extensions) > 0 {
		out.Extensions = union(t.Extensions, other.Extensions)
	}
	if len(t.Commands) > 0 && len(other.Commands) > 0 {
		out.Commands = union(t.Commands, other.Commands)
	}
	return out
}

// union returns what is in a or b, sorted; nil when there is nothing.
func union[T ~string](a, b []T) []T {
	all := slices.Concat(a, b)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		return nil
	}
	return all
}

// joinFolders unites shared folders; one that both share can be written to if
// either allows it. Name and path together identify a folder.
func joinFolders(a, b []SharedFolder) []SharedFolder {
	type id struct{ name, path string }
	byID := map[id]SharedFolder{}
	for _, f := range slices.Concat(a, b) {
		k := id{f.Name, f.Path}
		if old, ok := byID[k]; ok && old.Access == FolderReadWrite {
			continue
		}
		byID[k] = f
	}
	if len(byID) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Values(byID), func(x, y SharedFolder) int {
		return strings.Compare(x.Name+"\x00"+x.Path, y.Name+"\x00"+y.Path)
	})
}

// lastDays combines the dates of two grants, or of what grants came to. Without
// the zone of the instance two dates of different zones cannot be compared, so
// the latest of each zone is kept. A grant without a date never ends; one that
// is not enabled has no end to add.
func lastDays(a, b *EffectiveDeployment) []Date {
	if a.Enabled && len(a.Expires) == 0 || b.Enabled && len(b.Expires) == 0 {
		return nil
	}
	latest := map[string]Date{}
	for _, d := range slices.Concat(a.Expires, b.Expires) {
		if old, ok := latest[d.Zone]; !ok || d.String() > old.String() {
			latest[d.Zone] = d
		}
	}
	if len(latest) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Values(latest), func(a, b Date) int { return strings.Compare(a.String(), b.String()) })
}
