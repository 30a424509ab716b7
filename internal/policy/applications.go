package policy

// Applications is the tab of what the guest publishes on the host.
type Applications struct {
	MenuFolder       string           `json:"menuFolder,omitzero" default:"the name of the workspace" doc:"Name of the folder in the host's menu that holds everything published." when:"at once" enforced:"no" note:"Entries in the menu of the host come with the desktop session."`
	Published        []Application    `json:"published,omitzero" doc:"Published applications."`
	Menus            []Menu           `json:"menus,omitzero" doc:"Published menus: folders of the guest's programs menu."`
	PublishInstalled PublishInstalled `json:"publishInstalled,omitzero" doc:"Publishes everything installed in the guest by itself."`
	NetworkDrives    []NetworkDrive   `json:"networkDrives,omitzero" doc:"Network drives mapped in the guest; for revertible workspaces only."`
}

// Application is one published application. Its name identifies it, without
// regard to case.
type Application struct {
	Name               string   `json:"name" required:"yes" doc:"Name shown to users; unique among the applications, at most 100 characters." when:"at once" enforced:"yes"`
	Enabled            *bool    `json:"enabled,omitzero" default:"true" doc:"Whether users see and can run it." when:"at once" enforced:"yes"`
	Description        string   `json:"description,omitzero" doc:"Shown to users beside the name." when:"at once" enforced:"yes"`
	Command            string   `json:"command" required:"yes" values:"a command line" doc:"Program in the guest and its arguments. Quotes group words: within '...' nothing is special, within \"...\" only \\\" is. There is no shell unless the command names one." when:"at once" enforced:"yes"`
	StartIn            string   `json:"startIn,omitzero" default:"the guest user's home" values:"a folder of the guest" doc:"Folder of the guest in which it starts." when:"at once" enforced:"yes"`
	Shortcut           *bool    `json:"shortcut,omitzero" default:"true" doc:"Whether it appears in the host's start menu." when:"at once" enforced:"no" note:"Entries in the menu of the host come with the desktop session; 'dormer run' starts every published application."`
	StartWithWorkspace *bool    `json:"startWithWorkspace,omitzero" default:"false" doc:"Whether it starts whenever the workspace has started." when:"next start" enforced:"yes"`
	UserCredentials    *bool    `json:"userCredentials,omitzero" default:"false" doc:"Whether it runs with the credentials of the user who signed in, and not as the guest's own user." when:"at once" enforced:"yes" guests:"Linux and Windows"`
	FileTypes          []string `json:"fileTypes,omitzero" values:"extensions, as docx" doc:"Files of the host with these extensions are opened with it." when:"at once" enforced:"no" note:"Opening files of the host with an application of the guest comes with the desktop session."`
}

// Menu is one published menu. Its name identifies it, without regard to case.
type Menu struct {
	Name        string `json:"name" required:"yes" doc:"Name shown to users; unique among the menus." when:"at once" enforced:"no" note:"Menus in the host come with the desktop session; nothing is shown of them."`
	Enabled     *bool  `json:"enabled,omitzero" default:"true" doc:"Whether users see it." when:"at once" enforced:"no" note:"Menus in the host come with the desktop session; nothing is shown of them."`
	Description string `json:"description,omitzero" doc:"Shown to users beside the name." when:"at once" enforced:"no" note:"Menus in the host come with the desktop session; nothing is shown of them."`
	Folder      string `json:"folder,omitzero" default:"the whole programs menu" values:"a folder of the guest's programs menu" doc:"Folder that is published; absent: the guest's whole programs menu." when:"at once" enforced:"no" note:"Menus in the host come with the desktop session; nothing is shown of them."`
}

// PublishInstalled publishes what is installed in the guest by itself.
type PublishInstalled struct {
	Enabled *bool    `json:"enabled,omitzero" default:"false" doc:"Whether everything installed in the guest is published." when:"at once" enforced:"no" note:"Publishing what is installed comes with the desktop session; only applications.published is offered."`
	Exclude []string `json:"exclude,omitzero" values:"names; * stands for any text" doc:"Names of programs that are left out." when:"at once" enforced:"no" note:"Publishing what is installed comes with the desktop session; only applications.published is offered."`
}

// NetworkDrive is a drive mapped in the guest. Its letter identifies it.
type NetworkDrive struct {
	Letter string `json:"letter" required:"yes" pattern:"^[A-Za-z]$" values:"one letter from D to Z" doc:"Drive letter in the guest." when:"at once" enforced:"yes" guests:"Linux and Windows" note:"On Linux guests it names the folder that the drive is mounted on."`
	Path   string `json:"path" required:"yes" values:"\\\\server\\share" doc:"Shared folder of the network." when:"at once" enforced:"yes" guests:"Linux and Windows"`
	Label  string `json:"label,omitzero" doc:"Name shown for the drive." when:"at once" enforced:"yes" guests:"Linux and Windows"`
}
