package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/name"
)

// Effective is the policy of one user, fully resolved: the Spec with every
// default applied, and the user's grants combined. It is what a client
// receives, by its hash, and holds no identity of user or workspace, so that
// all who have the same share one.
type Effective struct {
	APIVersion   string                `json:"apiVersion"`
	General      EffectiveGeneral      `json:"general"`
	Machine      EffectiveMachine      `json:"machine"`
	Applications EffectiveApplications `json:"applications"`
	Web          EffectiveWeb          `json:"web"`
	Setup        EffectiveSetup        `json:"setup"`
	Network      EffectiveNetwork      `json:"network"`
	Performance  EffectivePerformance  `json:"performance"`
	Deployment   EffectiveDeployment   `json:"deployment"`
}

// EffectiveGeneral is General with its defaults.
type EffectiveGeneral struct {
	SupportContact   string               `json:"supportContact,omitzero"`
	Display          Display              `json:"display"`
	Frame            EffectiveFrame       `json:"frame"`
	HostCommand      EffectiveHostCommand `json:"hostCommand"`
	UnmanagedClients UnmanagedClients     `json:"unmanagedClients"`
}

// EffectiveFrame is Frame with its defaults.
type EffectiveFrame struct {
	Show  bool   `json:"show"`
	Color string `json:"color"`
}

// EffectiveHostCommand is HostCommand with its defaults; Command is empty when
// there is none.
type EffectiveHostCommand struct {
	Command       string   `json:"command,omitzero"`
	Timeout       Duration `json:"timeout"`
	StopOnFailure bool     `json:"stopOnFailure"`
}

// EffectiveMachine is Machine with its defaults. SuspendIdle and Lock.Idle are
// 0 for never; GuestUpdates is nil for none.
type EffectiveMachine struct {
	Image           EffectiveImage        `json:"image"`
	Revertible      bool                  `json:"revertible"`
	OnStop          OnStop                `json:"onStop"`
	SignOn          SignOn                `json:"signOn"`
	TimeZone        TimeZone              `json:"timeZone"`
	Lock            EffectiveLock         `json:"lock"`
	KeepOldVersions int                   `json:"keepOldVersions"`
	Updates         EffectiveUpdates      `json:"updates"`
	HostFiles       bool                  `json:"hostFiles"`
	Start           Start                 `json:"start"`
	SuspendIdle     Duration              `json:"suspendIdle,omitzero"`
	LastWindow      LastWindow            `json:"lastWindow"`
	DataDisk        EffectiveDataDisk     `json:"dataDisk"`
	GuestUpdates    *EffectiveMaintenance `json:"guestUpdates,omitzero"`
	OnMissing       OnMissing             `json:"onMissing"`
}

// EffectiveImage is Image with its defaults; Version 0 is the newest. The
// lease pins what it resolved to.
type EffectiveImage struct {
	Source  ImageSource `json:"source"`
	Name    string      `json:"name"`
	Version int         `json:"version,omitzero"`
}

// EffectiveLock is Lock with its defaults.
type EffectiveLock struct {
	OnHostSleep bool     `json:"onHostSleep"`
	Idle        Duration `json:"idle,omitzero"`
}

// EffectiveUpdates is Updates with its defaults.
type EffectiveUpdates struct {
	Mode UpdateMode `json:"mode"`
}

// EffectiveDataDisk is DataDisk with its defaults.
type EffectiveDataDisk struct {
	Size Size `json:"size"`
}

// EffectiveMaintenance is MaintenanceTime with its defaults.
type EffectiveMaintenance struct {
	From   TimeOfDay `json:"from"`
	Length Duration  `json:"length"`
}

// EffectiveApplications is Applications with its defaults; MenuFolder is empty
// for the name of the workspace. What is not enabled is left out.
type EffectiveApplications struct {
	MenuFolder       string                    `json:"menuFolder,omitzero"`
	Published        []EffectiveApplication    `json:"published,omitzero"`
	Menus            []EffectiveMenu           `json:"menus,omitzero"`
	PublishInstalled EffectivePublishInstalled `json:"publishInstalled"`
	NetworkDrives    []NetworkDrive            `json:"networkDrives,omitzero"`
}

// EffectiveApplication is an enabled Application with its defaults. An empty
// StartIn is the home of the guest's user.
type EffectiveApplication struct {
	Name               string   `json:"name"`
	Description        string   `json:"description,omitzero"`
	Command            string   `json:"command"`
	StartIn            string   `json:"startIn,omitzero"`
	Shortcut           bool     `json:"shortcut"`
	StartWithWorkspace bool     `json:"startWithWorkspace"`
	UserCredentials    bool     `json:"userCredentials"`
	FileTypes          []string `json:"fileTypes,omitzero"`
}

// Application finds a published application by what it is called, without
// regard to case.
func (e *Effective) Application(called string) (EffectiveApplication, bool) {
	for _, a := range e.Applications.Published {
		if name.Fold(a.Name) == name.Fold(called) {
			return a, true
		}
	}
	return EffectiveApplication{}, false
}

// EffectiveMenu is an enabled Menu; an empty Folder is the whole programs
// menu.
type EffectiveMenu struct {
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	Folder      string `json:"folder,omitzero"`
}

// EffectivePublishInstalled is PublishInstalled with its defaults.
type EffectivePublishInstalled struct {
	Enabled bool     `json:"enabled"`
	Exclude []string `json:"exclude,omitzero"`
}

// EffectiveWeb is Web with its defaults.
type EffectiveWeb struct {
	Rules      []WebRule `json:"rules,omitzero"`
	Others     WebOthers `json:"others"`
	AnyBrowser bool      `json:"anyBrowser"`
}

// EffectiveSetup is Setup with its defaults; an empty ComputerName leaves the
// image's own.
type EffectiveSetup struct {
	ComputerName string            `json:"computerName,omitzero"`
	Mode         SetupMode         `json:"mode"`
	Message      string            `json:"message,omitzero"`
	AllowCancel  bool              `json:"allowCancel"`
	Postpone     int               `json:"postpone"`
	Retries      int               `json:"retries"`
	TimeLimit    Duration          `json:"timeLimit"`
	Regional     EffectiveRegional `json:"regional"`
	// Actions have every default of their own applied.
	Actions []SetupAction `json:"actions,omitzero"`
}

// EffectiveRegional is Regional with its defaults.
type EffectiveRegional struct {
	Formats  bool `json:"formats"`
	Keyboard bool `json:"keyboard"`
}

// EffectiveNetwork is Network with its defaults. No Adapters are all.
type EffectiveNetwork struct {
	Mode        NetworkMode          `json:"mode"`
	Adapters    []string             `json:"adapters,omitzero"`
	NewAdapters bool                 `json:"newAdapters"`
	DNS         EffectiveDNS         `json:"dns"`
	Suffixes    EffectiveDNSSuffixes `json:"suffixes"`
}

// EffectiveDNS is DNS with its defaults.
type EffectiveDNS struct {
	Mode     DNSMode  `json:"mode"`
	Servers  []string `json:"servers,omitzero"`
	ThenHost bool     `json:"thenHost"`
}

// EffectiveDNSSuffixes is DNSSuffixes with its defaults.
type EffectiveDNSSuffixes struct {
	List     []string `json:"list,omitzero"`
	WithHost bool     `json:"withHost"`
}

// EffectivePerformance is Performance with its defaults: ascending rows that
// begin at 0.
type EffectivePerformance struct {
	Memory     []EffectiveMemoryRow    `json:"memory"`
	Processors []EffectiveProcessorRow `json:"processors"`
}

// EffectiveMemoryRow holds for hosts with at least Host memory.
type EffectiveMemoryRow struct {
	Host  Size `json:"host"`
	Guest Size `json:"guest"`
}

// EffectiveProcessorRow holds for hosts with at least Host processors.
type EffectiveProcessorRow struct {
	Host  int `json:"host"`
	Guest int `json:"guest"`
}

// EffectiveDeployment is a user's grants, combined.
type EffectiveDeployment struct {
	// Enabled is false when no grant is in force.
	Enabled bool `json:"enabled"`
	// Expires are the last days of the grants, at most one for each zone. The
	// permission ends with the latest of them; see Effective.ExpiresAt. None:
	// it never ends.
	Expires       []Date                `json:"expires,omitzero"`
	Offline       EffectiveOffline      `json:"offline"`
	AtLimit       EffectiveAtLimit      `json:"atLimit"`
	DeleteWhen    EffectiveDeleteWhen   `json:"deleteWhen"`
	SavePassword  bool                  `json:"savePassword"`
	Clipboard     Direction             `json:"clipboard"`
	FileTransfer  EffectiveFileTransfer `json:"fileTransfer"`
	Printing      bool                  `json:"printing"`
	OpticalDrive  bool                  `json:"opticalDrive"`
	USB           []USBClass            `json:"usb,omitzero"`
	Audio         bool                  `json:"audio"`
	Microphone    bool                  `json:"microphone"`
	SharedFolders []SharedFolder        `json:"sharedFolders,omitzero"`
}

// EffectiveOffline is Offline, combined. Limit is 0 unless Allow is limited.
type EffectiveOffline struct {
	Allow OfflineMode `json:"allow"`
	Limit Duration    `json:"limit,omitzero"`
}

// EffectiveAtLimit is AtLimit, combined.
type EffectiveAtLimit struct {
	Action LimitAction `json:"action"`
	Grace  Duration    `json:"grace"`
}

// EffectiveDeleteWhen is DeleteWhen, combined.
type EffectiveDeleteWhen struct {
	Disabled bool `json:"disabled"`
	Expired  bool `json:"expired"`
	Offline  bool `json:"offline"`
}

// EffectiveFileTransfer is FileTransfer, combined.
type EffectiveFileTransfer struct {
	HostToGuest EffectiveTransfer `json:"hostToGuest"`
	GuestToHost EffectiveTransfer `json:"guestToHost"`
	MayOverride bool              `json:"mayOverride"`
}

// EffectiveTransfer are the rules of one direction, combined. With no
// Extensions all are allowed; with no Commands files are not examined,
// otherwise one of the commands must accept the file.
type EffectiveTransfer struct {
	Allowed    bool     `json:"allowed"`
	Extensions []string `json:"extensions,omitzero"`
	Commands   []string `json:"commands,omitzero"`
}

// CanonicalJSON returns the bytes that are stored, sent and hashed.
func (e *Effective) CanonicalJSON() []byte { return document.JSON(e) }

// Hash names the policy: "sha256:" and the SHA-256 of its canonical JSON.
func (e *Effective) Hash() string { return HashOf(e.CanonicalJSON()) }

// HashOf names the policy whose canonical JSON body is, as Hash does.
func HashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// DecodeEffective reads a policy that a client received or kept. The hash is
// checked first: bytes that are not what the lease names are ErrCorrupt.
// Fields that this build does not know are ignored; what must be enforced is
// in the lease's requirements.
func DecodeEffective(body []byte, hash string) (*Effective, error) {
	if len(body) > MaxEffective {
		return nil, fmt.Errorf("policy: larger than 4 MiB: %w", dormer.ErrTooLarge)
	}
	if HashOf(body) != hash {
		return nil, fmt.Errorf("policy is not the one that its hash names: %w", dormer.ErrCorrupt)
	}
	var e Effective
	if err := json.Unmarshal(body, &e); err != nil || e.APIVersion != APIVersion {
		return nil, fmt.Errorf("policy cannot be read: %w", dormer.ErrUnsupported)
	}
	return &e, nil
}

// ExpiresAt returns the first instant at which the permission has ended;
// false means that it never ends. Dates that name no zone end in instance.
func (e *Effective) ExpiresAt(instance *time.Location) (time.Time, bool, error) {
	var latest time.Time
	for _, d := range e.Deployment.Expires {
		end, err := d.End(instance)
		if err != nil {
			return time.Time{}, false, err
		}
		if end.After(latest) {
			latest = end
		}
	}
	return latest, len(e.Deployment.Expires) > 0, nil
}

// GuestMemory returns the memory of the guest in MiB on a host with hostMiB.
func (e *Effective) GuestMemory(hostMiB int) int {
	guest := 0
	for _, row := range e.Performance.Memory {
		if row.Host.MiB() <= hostMiB || guest == 0 {
			guest = row.Guest.MiB()
		}
	}
	return guest
}

// GuestProcessors returns the processors of the guest on a host with that
// many; never more than the host has.
func (e *Effective) GuestProcessors(host int) int {
	guest := 1
	for i, row := range e.Performance.Processors {
		if row.Host <= host || i == 0 {
			guest = row.Guest
		}
	}
	return max(1, min(guest, host))
}
