package policy

// Web is the tab of addresses: which are opened in the guest and which in the
// host, in both directions.
type Web struct {
	Rules      []WebRule `json:"rules,omitzero" doc:"Rules in order; the first that fits decides."`
	Others     WebOthers `json:"others,omitzero" default:"where-asked" doc:"Where all other addresses are opened." when:"at once" enforced:"no" note:"Sending addresses between host and guest comes with the desktop session; each is opened where it was asked for."`
	AnyBrowser *bool     `json:"anyBrowser,omitzero" default:"false" doc:"Whether the rules hold for every browser of the host and not only for its default browser." when:"next sign-on" enforced:"no" note:"Sending addresses between host and guest comes with the desktop session; each is opened where it was asked for."`
}

// WebRule fits addresses by exactly one of Domain, Prefix and LocalNames.
type WebRule struct {
	Domain     string   `json:"domain,omitzero" values:"a domain, as corp.example.test" doc:"Fits the domain and everything below it." when:"at once" enforced:"no" note:"Sending addresses between host and guest comes with the desktop session; each is opened where it was asked for."`
	Prefix     string   `json:"prefix,omitzero" values:"an IP prefix, as 10.0.0.0/8" doc:"Fits addresses that are written as an IP address within the prefix." when:"at once" enforced:"no" note:"Sending addresses between host and guest comes with the desktop session; each is opened where it was asked for."`
	LocalNames *bool    `json:"localNames,omitzero" values:"true" doc:"Fits all local names: those without a dot." when:"at once" enforced:"no" note:"Sending addresses between host and guest comes with the desktop session; each is opened where it was asked for."`
	Open       WebPlace `json:"open,omitzero" required:"yes" doc:"Where what fits is opened." when:"at once" enforced:"no" note:"Sending addresses between host and guest comes with the desktop session; each is opened where it was asked for."`
}

// WebPlace is where an address is opened.
type WebPlace string

// Where an address is opened.
const (
	OpenInGuest WebPlace = "guest"
	OpenInHost  WebPlace = "host"
)

// Values lists the values.
func (WebPlace) Values() []string { return []string{"guest", "host"} }

// WebOthers is where addresses are opened that no rule fits.
type WebOthers string

// Where all other addresses are opened.
const (
	OthersGuest      WebOthers = "guest"
	OthersHost       WebOthers = "host"
	OthersWhereAsked WebOthers = "where-asked"
)

// Values lists the values.
func (WebOthers) Values() []string { return []string{"guest", "host", "where-asked"} }
