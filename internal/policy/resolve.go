package policy

import "slices"

// value returns what was set, or the default.
func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// chosen returns the choice that was made, or the default.
func chosen[T ~string](v, otherwise T) T {
	if v == "" {
		return otherwise
	}
	return v
}

// filled returns a pointer to what was set, or to the default.
func filled[T any](p *T, otherwise T) *T {
	v := value(p, otherwise)
	return &v
}

// resolve applies the defaults of apiVersion dormer/v1. The same defaults
// stand in the struct tags for people; a test holds the two together.
func resolve(s *Spec) Effective {
	return Effective{
		APIVersion:   APIVersion,
		General:      s.General.resolve(),
		Machine:      s.Machine.resolve(),
		Applications: s.Applications.resolve(),
		Web: EffectiveWeb{
			Rules:      slices.Clone(s.Web.Rules),
			Others:     chosen(s.Web.Others, OthersWhereAsked),
			AnyBrowser: value(s.Web.AnyBrowser, false),
		},
		Setup:       s.Setup.resolve(),
		Network:     s.Network.resolve(),
		Performance: s.Performance.resolve(),
	}
}

func (g *General) resolve() EffectiveGeneral {
	return EffectiveGeneral{
		SupportContact: g.SupportContact,
		Display:        chosen(g.Display, DisplayDesktop),
		Frame:          EffectiveFrame{Show: value(g.Frame.Show, false), Color: chosen(g.Frame.Color, "#3d7ab8")},
		HostCommand: EffectiveHostCommand{
			Command:       g.HostCommand.Command,
			Timeout:       value(g.HostCommand.Timeout, minute),
			StopOnFailure: value(g.HostCommand.StopOnFailure, false),
		},
		UnmanagedClients: chosen(g.UnmanagedClients, UnmanagedAllow),
	}
}

func (m *Machine) resolve() EffectiveMachine {
	out := EffectiveMachine{
		Image: EffectiveImage{
			Source:  chosen(m.Image.Source, SourceServer),
			Name:    m.Image.Name,
			Version: value(m.Image.Version, 0),
		},
		Revertible:      value(m.Revertible, true),
		OnStop:          chosen(m.OnStop, StopShutDown),
		SignOn:          chosen(m.SignOn, SignOnNone),
		TimeZone:        chosen(m.TimeZone, TimeZoneUnchanged),
		Lock:            EffectiveLock{OnHostSleep: value(m.Lock.OnHostSleep, false), Idle: value(m.Lock.Idle, 0)},
		KeepOldVersions: value(m.KeepOldVersions, 1),
		Updates:         EffectiveUpdates{Mode: chosen(m.Updates.Mode, UpdateSuggest)},
		HostFiles:       value(m.HostFiles, true),
		Start:           chosen(m.Start, StartFirstUse),
		SuspendIdle:     value(m.SuspendIdle, 0),
		LastWindow:      chosen(m.LastWindow, LastWindowContinue),
		DataDisk:        EffectiveDataDisk{Size: value(m.DataDisk.Size, 10*GiB)},
		OnMissing:       chosen(m.OnMissing, MissingStart),
	}
	if w := m.GuestUpdates; w != nil {
		out.GuestUpdates = &EffectiveMaintenance{From: value(w.From, 0), Length: value(w.Length, 2*hour)}
	}
	return out
}

func (a *Applications) resolve() EffectiveApplications {
	out := EffectiveApplications{
		MenuFolder:    a.MenuFolder,
		NetworkDrives: slices.Clone(a.NetworkDrives),
		PublishInstalled: EffectivePublishInstalled{
			Enabled: value(a.PublishInstalled.Enabled, false),
			Exclude: slices.Clone(a.PublishInstalled.Exclude),
		},
	}
	for _, app := range a.Published {
		if off(app.Enabled) {
			continue
		}
		out.Published = append(out.Published, EffectiveApplication{
			Name: app.Name, Description: app.Description, Command: app.Command, StartIn: app.StartIn,
			Shortcut:           value(app.Shortcut, true),
			StartWithWorkspace: value(app.StartWithWorkspace, false),
			UserCredentials:    value(app.UserCredentials, false),
			FileTypes:          slices.Clone(app.FileTypes),
		})
	}
	for _, m := range a.Menus {
		if !off(m.Enabled) {
			out.Menus = append(out.Menus, EffectiveMenu{Name: m.Name, Description: m.Description, Folder: m.Folder})
		}
	}
	return out
}

func (s *Setup) resolve() EffectiveSetup {
	out := EffectiveSetup{
		ComputerName: s.ComputerName,
		Mode:         chosen(s.Mode, SetupNotice),
		Message:      s.Message,
		AllowCancel:  value(s.AllowCancel, false),
		Postpone:     value(s.Postpone, 0),
		Retries:      value(s.Retries, 0),
		TimeLimit:    value(s.TimeLimit, 2*hour),
		Regional:     EffectiveRegional{Formats: value(s.Regional.Formats, false), Keyboard: value(s.Regional.Keyboard, false)},
	}
	for _, a := range s.Actions {
		out.Actions = append(out.Actions, a.resolve())
	}
	return out
}

// resolve fills every default of an action in; the copy shares nothing that
// is written to.
func (a SetupAction) resolve() SetupAction {
	a.Once = chosen(a.Once, OnceMachine)
	if a.JoinDomain != nil {
		j := *a.JoinDomain
		j.UserDomain = filled(j.UserDomain, false)
		j.Credentials = chosen(j.Credentials, JoinOneTime)
		a.JoinDomain = &j
	}
	if a.CheckConnectivity != nil {
		k := *a.CheckConnectivity
		k.Timeout = filled(k.Timeout, minute)
		a.CheckConnectivity = &k
	}
	if a.RunCommand != nil {
		r := *a.RunCommand
		r.Password = chosen(r.Password, PasswordNone)
		r.Wait = filled(r.Wait, true)
		r.FailOnError = filled(r.FailOnError, true)
		r.SuccessStatus = filled(r.SuccessStatus, 0)
		r.OnlyOnce = filled(r.OnlyOnce, false)
		r.CausesRestart = filled(r.CausesRestart, false)
		r.AllowInteraction = filled(r.AllowInteraction, false)
		a.RunCommand = &r
	}
	return a
}

func (n *Network) resolve() EffectiveNetwork {
	return EffectiveNetwork{
		Mode:        chosen(n.Mode, NetworkNAT),
		Adapters:    slices.Clone(n.Adapters),
		NewAdapters: value(n.NewAdapters, true),
		DNS: EffectiveDNS{
			Mode:     chosen(n.DNS.Mode, DNSUnchanged),
			Servers:  slices.Clone(n.DNS.Servers),
			ThenHost: value(n.DNS.ThenHost, false),
		},
		Suffixes: EffectiveDNSSuffixes{List: slices.Clone(n.Suffixes.List), WithHost: value(n.Suffixes.WithHost, false)},
	}
}

func (p *Performance) resolve() EffectivePerformance {
	out := EffectivePerformance{
		Memory:     []EffectiveMemoryRow{{0, GiB}, {8 * GiB, 2 * GiB}, {16 * GiB, 4 * GiB}, {32 * GiB, 8 * GiB}},
		Processors: []EffectiveProcessorRow{{0, 1}, {4, 2}, {8, 4}},
	}
	if len(p.Memory) > 0 {
		out.Memory = nil
		for _, row := range p.Memory {
			out.Memory = append(out.Memory, EffectiveMemoryRow{Host: value(row.Host, 0), Guest: value(row.Guest, GiB)})
		}
	}
	if len(p.Processors) > 0 {
		out.Processors = nil
		for _, row := range p.Processors {
			out.Processors = append(out.Processors, EffectiveProcessorRow{Host: value(row.Host, 0), Guest: value(row.Guest, 1)})
		}
	}
	return out
}
