// Package organization is what an architect describes: sites and who works
// there, the links between them, domains and trust, what must be kept apart,
// images and workspaces, and what people expect of the service. One file in
// YAML or JSON, from which internal/plan works out the infrastructure.
//
// It is a domain package: it decodes, validates and explains that file, and
// does no input or output.
//
// Its words: a crowd is the people of one site who are alike in domain,
// network and department; a network is isolated from all others; a separation
// is a demand that some people are served apart from others, or that their data
// stays in a country.
//
// As in package policy the struct tags are the one description of every field;
// the JSON Schema and docs/planning-file.md are generated from them. What the
// author did not set is absent here; Resolve fills it in.
package organization

import "github.com/dormer-project/dormer/internal/document"

const (
	// APIVersion is the version of the document that this package reads.
	APIVersion = "dormer/v1"
	// Kind is the only kind of document.
	Kind = "Organization"
)

// Organization is the whole file.
type Organization struct {
	APIVersion string   `json:"apiVersion" required:"yes" const:"dormer/v1" doc:"Version of this document; it decides the defaults."`
	Kind       string   `json:"kind" required:"yes" const:"Organization" doc:"What the document describes."`
	Metadata   Metadata `json:"metadata" required:"yes" doc:"What the plan is called."`
	Spec       Spec     `json:"spec" required:"yes" doc:"The organization."`
}

// Metadata names a plan.
type Metadata struct {
	Name        string `json:"name" required:"yes" doc:"Name of the plan, as it stands above the design document; at most 200 characters."`
	Description string `json:"description,omitzero" text:"yes" doc:"What the plan is for and what lies outside of it."`
}

// Spec is the organization.
type Spec struct {
	Sites       []Site       `json:"sites" required:"yes" most:"2000" doc:"Places where people work."`
	Domains     []Domain     `json:"domains,omitzero" default:"one that everybody is in" most:"500" doc:"Directory domains and which of them trusts which."`
	Networks    []Network    `json:"networks,omitzero" default:"none" most:"500" doc:"Networks that nothing reaches from outside: each needs what serves it within. What is in none of them is one connected network."`
	Links       []Link       `json:"links,omitzero" most:"4000" doc:"Links between sites. Sites of the connected network must hang together by them."`
	Travel      []Travel     `json:"travel,omitzero" default:"none" most:"10000" doc:"People who work at another site for a time."`
	Separations []Separation `json:"separations,omitzero" default:"none" most:"200" doc:"Who must be served apart from others, and whose data may not leave a country."`
	Images      []Image      `json:"images" required:"yes" most:"500" doc:"Images that people get."`
	Workspaces  []Workspace  `json:"workspaces" required:"yes" most:"500" doc:"Which people get which image, and how."`
	Service     Service      `json:"service,omitzero" doc:"What people may expect."`
	Events      Events       `json:"events,omitzero" doc:"Events, how long they are kept, and where."`
	Consoles    []Console    `json:"consoles,omitzero" default:"one, with two operators, at the site with the most people" most:"500" doc:"Who administers, and from where."`
	Clients     Clients      `json:"clients,omitzero" doc:"The computers that people have."`
	Capacity    Capacity     `json:"capacity,omitzero" doc:"How many clients one instance holds."`
	Growth      Growth       `json:"growth,omitzero" doc:"How the number of people changes."`
	Questions   []Question   `json:"questions,omitzero" most:"1000" doc:"Answers to the questions that the plan asks the business; what has none stays open in the design document."`
	Observed    *Observed    `json:"observed,omitzero" doc:"Where figures of this file were observed; written by dormer plan observe."`
}

// Site is a place where people work.
type Site struct {
	Name       string         `json:"name" required:"yes" doc:"Name of the site; unique without regard to case."`
	Country    string         `json:"country,omitzero" pattern:"^[A-Z]{2}$" values:"two capital letters such as DE" doc:"Country by its two letters (ISO 3166), as DE. Needed where separations name countries."`
	Servers    *bool          `json:"servers,omitzero" default:"true" doc:"Whether servers may stand here."`
	LAN        document.Rate  `json:"lan,omitzero" default:"1Gbit/s" max:"1000Gbit/s" doc:"What the network within the site carries altogether: of a large site the bandwidth of its core."`
	Neighbours *bool          `json:"neighbours,omitzero" default:"service.neighbours" doc:"Whether clients of this site serve each other."`
	Delivery   DeliveryChoice `json:"delivery,omitzero" default:"auto" doc:"How images reach this site: auto lets the plan choose."`
	People     []Crowd        `json:"people,omitzero" most:"200" doc:"Who works here. None: a place for servers."`
}

// Crowd is the people of a site who are alike.
type Crowd struct {
	Domain     string `json:"domain,omitzero" default:"the first of domains" doc:"Directory domain that their accounts are in."`
	Network    string `json:"network,omitzero" default:"the connected network" doc:"Isolated network that their computers are in."`
	Department string `json:"department,omitzero" doc:"Business group that they belong to."`
	Users      int    `json:"users" required:"yes" min:"0" max:"10000000" doc:"How many people."`
	Active     *int   `json:"active,omitzero" default:"users" min:"0" max:"10000000" doc:"How many of their computers are on at the busiest time."`
}

// Domain is a directory domain.
type Domain struct {
	Name      string   `json:"name" required:"yes" doc:"Name of the domain, as corp.example.test; unique without regard to case."`
	Parent    string   `json:"parent,omitzero" default:"none" doc:"Domain of the same forest above this one. Domains of one forest all trust each other."`
	Trusts    []Trust  `json:"trusts,omitzero" default:"none" most:"500" doc:"Domains outside the forest whose people this domain accepts."`
	Distrusts []string `json:"distrusts,omitzero" default:"none" most:"500" doc:"Domains whose people must never be accepted here. Trusts that would bring it about all the same are refused."`
}

// Trust is one trust of a domain.
type Trust struct {
	Domain     string `json:"domain" required:"yes" doc:"Domain that is trusted: its people are accepted."`
	BothWays   *bool  `json:"bothWays,omitzero" default:"true" doc:"Whether the other domain trusts this one as well."`
	Transitive *bool  `json:"transitive,omitzero" default:"false" doc:"Whether the trust goes on: domains of both forests, and what these trust transitively in their turn."`
}

// Network is an isolated network.
type Network struct {
	Name   string `json:"name" required:"yes" doc:"Name of the network; unique without regard to case."`
	Reason string `json:"reason,omitzero" text:"yes" doc:"Why nothing reaches it."`
}

// Link is a line between two sites.
type Link struct {
	From      string           `json:"from" required:"yes" doc:"Site at one end."`
	To        string           `json:"to" required:"yes" doc:"Site at the other end."`
	Bandwidth document.Rate    `json:"bandwidth" required:"yes" max:"1000Gbit/s" doc:"What flows from the first to the second at most, as 100Mbit/s."`
	Back      document.Rate    `json:"back,omitzero" default:"bandwidth" max:"1000Gbit/s" doc:"What flows from the second to the first at most."`
	Latency   document.Latency `json:"latency,omitzero" default:"10ms" max:"60s" doc:"Time of a round trip."`
	Usable    document.Percent `json:"usable,omitzero" default:"the share of each link that the service may take" max:"100%" doc:"Share of the bandwidth that Dormer may take."`
}

// Travel is people of one site at another one.
type Travel struct {
	From  string `json:"from" required:"yes" doc:"Site at home."`
	To    string `json:"to" required:"yes" doc:"Site that is visited."`
	Users int    `json:"users" required:"yes" min:"1" max:"10000000" doc:"How many of them are there at one time, at most."`
	Days  int    `json:"days,omitzero" default:"1" min:"1" max:"365" doc:"How many days a visit lasts."`
}

// Who selects people: those that all given lists name; everybody where none is
// given.
type Who struct {
	Sites       []string `json:"sites,omitzero" default:"all" most:"2000" doc:"Of these sites."`
	Countries   []string `json:"countries,omitzero" default:"all" most:"2000" doc:"Of sites in these countries."`
	Domains     []string `json:"domains,omitzero" default:"all" most:"2000" doc:"With accounts in these domains."`
	Networks    []string `json:"networks,omitzero" default:"all" most:"2000" doc:"In these isolated networks."`
	Departments []string `json:"departments,omitzero" default:"all" most:"2000" doc:"Of these business groups."`
}

// Separation keeps some people's service apart.
type Separation struct {
	Name    string         `json:"name" required:"yes" doc:"Name of the demand, as it stands in the reasons; unique without regard to case."`
	Kind    SeparationKind `json:"kind" required:"yes" doc:"security and management are demands of the organization (management: a business group administers itself), law is one from outside."`
	Who     Who            `json:"who" required:"yes" doc:"Whom it is about."`
	Country string         `json:"country,omitzero" default:"any" pattern:"^[A-Z]{2}$" values:"two capital letters such as DE" doc:"Country that their data may not leave: their servers, databases and repositories stand there."`
	Shared  *bool          `json:"shared,omitzero" default:"false" doc:"Whether others may be served by the same instance. Only with a country: then the demand is about the place alone."`
	Reason  string         `json:"reason,omitzero" text:"yes" doc:"Where the demand comes from."`
}

// Image is an image that people get.
type Image struct {
	Name     string            `json:"name" required:"yes" doc:"Name of the image; unique without regard to case."`
	Packed   document.Size     `json:"packed" required:"yes" max:"4TiB" doc:"Size in the repository and on the wire of a first version, as 4GiB."`
	Disk     document.Size     `json:"disk,omitzero" default:"three times packed" max:"16TiB" doc:"Size of what is used on the disk, unpacked."`
	Update   document.Size     `json:"update,omitzero" default:"15 % of packed" max:"4TiB" doc:"What a client fetches for one update."`
	Every    document.Duration `json:"every,omitzero" default:"30d" min:"1h" max:"3650d" doc:"How often a new version is made."`
	Versions int               `json:"versions,omitzero" default:"3" min:"1" max:"365" doc:"How many versions the repository keeps."`
	Base     string            `json:"base,omitzero" default:"none" doc:"Image that this one was made from; what they have in common is stored once."`
	Shared   *document.Percent `json:"shared,omitzero" default:"60%" max:"100%" doc:"Share of this image that it has in common with its base."`
	System   string            `json:"system,omitzero" doc:"Operating system in it, as Windows 10; images of one system are asked about together: could they be one?"`
}

// Workspace is an image for some people.
type Workspace struct {
	Name       string           `json:"name" required:"yes" doc:"Name of the workspace; unique without regard to case."`
	Image      string           `json:"image" required:"yes" doc:"Image that it uses."`
	Who        Who              `json:"who,omitzero" doc:"Who gets it."`
	Share      document.Percent `json:"share,omitzero" default:"100%" max:"100%" doc:"How many of these people get it."`
	Policies   int              `json:"policies,omitzero" default:"1" min:"1" max:"1000" doc:"How many different policies it needs for different people: each is a workspace of its own on the server."`
	Offline    Offline          `json:"offline,omitzero" default:"unrestricted" doc:"How long it may be used without the server: none, unrestricted, or a time as 8h or 3d."`
	Persistent *bool            `json:"persistent,omitzero" default:"true" doc:"Whether machines keep their changes."`
	Machine    document.Size    `json:"machine,omitzero" default:"10GiB; of revertible workspaces 2GiB" max:"16TiB" doc:"What a machine's own changes take on the client's disk."`
	Data       document.Size    `json:"data,omitzero" default:"0MiB" max:"16TiB" doc:"Size of the user's data disk."`
	Critical   *bool            `json:"critical,omitzero" default:"true" doc:"Whether the service's time for critical updates is demanded for its image."`
}

// Service is what people may expect.
type Service struct {
	FirstDelivery  document.Duration  `json:"firstDelivery,omitzero" default:"8h" min:"1s" max:"365d" doc:"Time in which everybody of a site has an image for the first time."`
	LoadImage      document.Duration  `json:"loadImage,omitzero" default:"10m" min:"1s" max:"365d" doc:"Time until one person, at an idle time, can start a workspace for the first time."`
	CriticalUpdate document.Duration  `json:"criticalUpdate,omitzero" default:"1d" min:"1s" max:"365d" doc:"Time in which everybody has a critical update."`
	Report         document.Duration  `json:"report,omitzero" default:"5s" min:"1s" max:"1d" doc:"Time until a report is on the screen."`
	ReportOutage   *document.Duration `json:"reportOutage,omitzero" default:"1d" max:"365d" doc:"Time that reports may be away."`
	Restore        document.Duration  `json:"restore,omitzero" default:"4h" min:"1m" max:"365d" doc:"Time in which people here bring a broken server back from a backup."`
	Backup         document.Duration  `json:"backup,omitzero" default:"1d" min:"1m" max:"365d" doc:"Time between two backups."`
	Loss           *document.Duration `json:"loss,omitzero" default:"1d" max:"365d" doc:"How much of the latest changes of administrators may be lost."`
	Usable         document.Percent   `json:"usable,omitzero" default:"50%" max:"100%" doc:"Share of each link that Dormer may take."`
	Neighbours     *bool              `json:"neighbours,omitzero" default:"false" doc:"Whether clients of a site serve each other."`
	DeliveryHours  int                `json:"deliveryHours,omitzero" default:"24" min:"1" max:"24" doc:"Hours of a day in which images are delivered."`
	Poll           document.Duration  `json:"poll,omitzero" default:"1m" min:"1s" max:"1d" doc:"How often a client asks its server."`
}

// Events is what happens on clients.
type Events struct {
	PerDay   int               `json:"perDay,omitzero" default:"20" min:"1" max:"10000" doc:"Events a day of one client. 15 to 20 are usual."`
	Bytes    int               `json:"bytes,omitzero" default:"200" min:"1" max:"10000" doc:"Bytes of one event."`
	Keep     document.Duration `json:"keep,omitzero" default:"365d" min:"1d" max:"3650d" doc:"How long events are kept."`
	Bursts   *document.Percent `json:"bursts,omitzero" default:"50%" max:"1000%" doc:"Safety factor for bursts of errors, on top."`
	Overhead *document.Percent `json:"overhead,omitzero" default:"30%" max:"1000%" doc:"Safety factor for what tables need beside the rows, on top."`
	Hours    int               `json:"hours,omitzero" default:"8" min:"1" max:"24" doc:"Hours of a day in which most events happen."`
	Database Database          `json:"database,omitzero" default:"auto" doc:"Kind of the events database."`
	Place    DatabasePlace     `json:"place,omitzero" default:"auto" doc:"Whether the events database is on the server or on another computer."`
	Site     string            `json:"site,omitzero" default:"that of the server" doc:"Site of a remote events database. Instances whose people's data may not leave a country do not use it when it is elsewhere."`
	ShareOne *bool             `json:"shareOne,omitzero" default:"false" doc:"Whether instances share one remote events database for reports over all of them."`
}

// Console is a place from which the instance is administered.
type Console struct {
	Site      string `json:"site" required:"yes" doc:"Where the operators sit."`
	Operators int    `json:"operators,omitzero" default:"1" min:"1" max:"10000" doc:"How many of them work at the same time."`
	Reports   *int   `json:"reports,omitzero" default:"6" min:"0" max:"100000" doc:"Reports that one of them makes in an hour."`
	Images    *bool  `json:"images,omitzero" default:"false" doc:"Whether images are made and tested here: such a computer needs room for the largest of them."`
}

// Clients are the computers that people have.
type Clients struct {
	FreeDisk document.Size `json:"freeDisk,omitzero" default:"not compared" max:"1024TiB" doc:"Free disk of a usual client."`
	Memory   document.Size `json:"memory,omitzero" default:"not compared" max:"1024TiB" doc:"Memory of a usual client."`
	Guest    document.Size `json:"guest,omitzero" default:"2GiB" max:"1024TiB" doc:"Memory of a virtual machine."`
}

// Capacity is what one instance holds.
type Capacity struct {
	Clients  int           `json:"clients,omitzero" default:"5000" min:"1" max:"10000000" doc:"Concurrently active clients that one instance holds. The default is that of the classic guide; another value is one that was measured on the hardware below."`
	Hardware string        `json:"hardware,omitzero" doc:"What it was measured on, as 4 cores, 8 GB."`
	Cores    int           `json:"cores,omitzero" default:"2" min:"1" max:"1024" doc:"Processor cores of that server."`
	Memory   document.Size `json:"memory,omitzero" default:"2GiB" max:"1024TiB" doc:"Memory of that server."`
}

// Growth is how the number of people changes.
type Growth struct {
	Yearly document.Percent `json:"yearly,omitzero" default:"0%" max:"100%" doc:"How many more people a year."`
	Years  *int             `json:"years,omitzero" default:"3" min:"0" max:"20" doc:"How many years the plan looks ahead."`
}

// Question is an answer of the business.
type Question struct {
	About    Topic  `json:"about" required:"yes" doc:"What the question is about."`
	Subject  string `json:"subject" required:"yes" doc:"Image, pair of images as A + B, workspace or application that it is about."`
	Question string `json:"question,omitzero" default:"that of the plan" text:"yes" doc:"The question, where it is one of your own."`
	Answer   string `json:"answer,omitzero" text:"yes" doc:"The answer; none: open."`
	By       string `json:"by,omitzero" doc:"Who must answer, or did: a role, as purchasing."`
}

// Observed says where figures come from.
type Observed struct {
	Server  string `json:"server" required:"yes" doc:"Address of the server."`
	At      string `json:"at" required:"yes" doc:"When, as 2026-11-22."`
	Days    int    `json:"days" required:"yes" min:"1" max:"3650" doc:"How many days were looked at."`
	Clients int    `json:"clients" required:"yes" min:"0" max:"10000000" doc:"Clients that were seen in that time."`
	Peak    int    `json:"peak" required:"yes" min:"0" max:"10000000" doc:"Clients that were on-line at the same time, at most."`
}
