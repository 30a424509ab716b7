package policy

// Network is the tab of the virtual machine's network.
type Network struct {
	Mode        NetworkMode `json:"mode,omitzero" default:"nat" doc:"nat: the guest reaches what the host reaches, but not the host itself; bridged: it stands in the host's network; none: it has no network." when:"next start" enforced:"yes" hosts:"Linux" note:"A network that is taken away is cut off at once."`
	Adapters    []string    `json:"adapters,omitzero" default:"all" values:"names; * stands for any text" doc:"Adapters of the host that are bridged." when:"at once" enforced:"yes" hosts:"Linux"`
	NewAdapters *bool       `json:"newAdapters,omitzero" default:"true" doc:"Whether adapters that appear later are bridged too." when:"at once" enforced:"yes" hosts:"Linux"`
	DNS         DNS         `json:"dns,omitzero" doc:"Name servers of the guest."`
	Suffixes    DNSSuffixes `json:"suffixes,omitzero" doc:"DNS suffixes of the guest."`
}

// DNS is the guest's name service.
type DNS struct {
	Mode     DNSMode  `json:"mode,omitzero" default:"unchanged" doc:"unchanged: as the image and the network have it; host: the host's servers, followed as they change; servers: those given." when:"at once" enforced:"yes" guests:"Linux and Windows"`
	Servers  []string `json:"servers,omitzero" values:"IP addresses" doc:"Name servers, with mode servers." when:"at once" enforced:"yes" guests:"Linux and Windows"`
	ThenHost *bool    `json:"thenHost,omitzero" default:"false" doc:"Whether the host's servers follow the given ones." when:"at once" enforced:"yes" guests:"Linux and Windows"`
}

// DNSSuffixes are searched for short names.
type DNSSuffixes struct {
	List     []string `json:"list,omitzero" values:"domains" doc:"Suffixes, in order." when:"at once" enforced:"yes" guests:"Linux and Windows"`
	WithHost *bool    `json:"withHost,omitzero" default:"false" doc:"Whether the host's suffixes follow them." when:"at once" enforced:"yes" guests:"Linux and Windows"`
}

// NetworkMode says how the guest is connected.
type NetworkMode string

// How the guest is connected.
const (
	NetworkNAT     NetworkMode = "nat"
	NetworkBridged NetworkMode = "bridged"
	NetworkNone    NetworkMode = "none"
)

// Values lists the values.
func (NetworkMode) Values() []string { return []string{"nat", "bridged", "none"} }

// DNSMode says where the guest's name servers come from.
type DNSMode string

// Where the guest's name servers come from.
const (
	DNSUnchanged DNSMode = "unchanged"
	DNSHost      DNSMode = "host"
	DNSServers   DNSMode = "servers"
)

// Values lists the values.
func (DNSMode) Values() []string { return []string{"unchanged", "host", "servers"} }
