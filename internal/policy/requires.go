package policy

import "slices"

// The capabilities that a policy may require of an agent. An agent that lacks
// one refuses the start and reports that the client is too old. What every
// agent enforces since the first release is not listed: persistent and
// revertible machines, shutting down, memory, processors, the data disk, NAT
// and no network, published applications, off-line limits, expiry, disabled
// grants and the refusal of unmanaged clients.
const (
	RequiresHostCommand       = "host-command"
	RequiresLocalImage        = "local-image"
	RequiresSaveState         = "save-state"
	RequiresGuestSignOn       = "guest-sign-on"
	RequiresTimeZone          = "time-zone"
	RequiresLockSleep         = "lock-sleep"
	RequiresLockIdle          = "lock-idle"
	RequiresForceUpdates      = "force-updates"
	RequiresStartSignOn       = "start-sign-on"
	RequiresSuspendIdle       = "suspend-idle"
	RequiresLastWindow        = "last-window"
	RequiresGuestUpdates      = "guest-updates"
	RequiresStartApplications = "start-applications"
	RequiresUserCredentials   = "user-credentials"
	RequiresNetworkDrives     = "network-drives"
	RequiresComputerName      = "computer-name"
	RequiresRegional          = "regional"
	RequiresSetupScript       = "setup-script"
	RequiresBridgedNetwork    = "bridged-network"
	RequiresDNS               = "dns"
	RequiresLockAtLimit       = "lock-at-limit"
	RequiresDelete            = "delete"
	RequiresClipboard         = "clipboard"
	RequiresFileTransfer      = "file-transfer"
	RequiresPrinting          = "printing"
	RequiresOpticalDrive      = "optical-drive"
	RequiresUSB               = "usb"
	RequiresAudio             = "audio"
	RequiresMicrophone        = "microphone"
	RequiresSharedFolders     = "shared-folders"
)

// Requires lists, sorted, the capabilities that an agent must have for this
// policy; none for one that uses nothing but what every agent enforces.
func (e *Effective) Requires() []string {
	var out []string
	need := func(capability string, when bool) {
		if when {
			out = append(out, capability)
		}
	}
	e.requiresOfSpec(need)
	e.requiresOfDeployment(need)
	slices.Sort(out)
	return slices.Compact(out)
}

func (e *Effective) requiresOfSpec(need func(string, bool)) {
	m, a, n := &e.Machine, &e.Applications, &e.Network
	need(RequiresHostCommand, e.General.HostCommand.Command != "")
	need(RequiresLocalImage, m.Image.Source != SourceServer)
	need(RequiresSaveState, m.OnStop == StopSaveState || m.LastWindow == LastWindowSaveState)
	need(RequiresGuestSignOn, m.SignOn == SignOnUser)
	need(RequiresTimeZone, m.TimeZone != TimeZoneUnchanged)
	need(RequiresLockSleep, m.Lock.OnHostSleep)
	need(RequiresLockIdle, m.Lock.Idle > 0)
	need(RequiresForceUpdates, m.Updates.Mode == UpdateForce)
	need(RequiresStartSignOn, m.Start == StartSignOn)
	need(RequiresSuspendIdle, m.SuspendIdle > 0)
	need(RequiresLastWindow, m.LastWindow != LastWindowContinue)
	need(RequiresGuestUpdates, m.GuestUpdates != nil)
	for _, app := range a.Published {
		need(RequiresStartApplications, app.StartWithWorkspace)
		need(RequiresUserCredentials, app.UserCredentials)
	}
	need(RequiresNetworkDrives, len(a.NetworkDrives) > 0)
	need(RequiresComputerName, e.Setup.ComputerName != "")
	need(RequiresRegional, e.Setup.Regional.Formats || e.Setup.Regional.Keyboard)
	need(RequiresSetupScript, len(e.Setup.Actions) > 0)
	need(RequiresBridgedNetwork, n.Mode == NetworkBridged)
	need(RequiresDNS, n.DNS.Mode != DNSUnchanged || len(n.Suffixes.List) > 0 || n.Suffixes.WithHost)
}

func (e *Effective) requiresOfDeployment(need func(string, bool)) {
	d := &e.Deployment
	if !d.Enabled {
		return
	}
	need(RequiresLockAtLimit, d.AtLimit.Action == LimitLock)
	need(RequiresDelete, d.AtLimit.Action == LimitDelete || d.DeleteWhen != EffectiveDeleteWhen{})
	need(RequiresClipboard, d.Clipboard != DirectionNone)
	need(RequiresFileTransfer, d.FileTransfer.HostToGuest.Allowed || d.FileTransfer.GuestToHost.Allowed)
	need(RequiresPrinting, d.Printing)
	need(RequiresOpticalDrive, d.OpticalDrive)
	need(RequiresUSB, len(d.USB) > 0)
	need(RequiresAudio, d.Audio)
	need(RequiresMicrophone, d.Microphone)
	need(RequiresSharedFolders, len(d.SharedFolders) > 0)
}
