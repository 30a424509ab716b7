package desk

import (
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/workbench"
)

// Prefix is below what the local API is.
const Prefix = "/local/v1"

// list wraps many items, as in the REST API.
type list[T any] struct {
	Items []T `json:"items" nullable:"false"`
}

// none is a body that is not there.
type none struct{}

// server is a server that the console can work with.
type server struct {
	URL  string `json:"url"`
	Name string `json:"name" doc:"for people: host and port"`
	User string `json:"user,omitempty" doc:"whose session is kept; absent: nobody's"`
}

// state is what this computer has to say about itself.
type state struct {
	Server   *server  `json:"server,omitempty" doc:"that everything is asked of; absent: none was chosen yet"`
	Servers  []server `json:"servers" nullable:"false" doc:"those that this computer knows"`
	Folder   string   `json:"folder" doc:"where packed images are"`
	DiskFree int64    `json:"disk_free" doc:"bytes that are free there"`
}

// chooseServer chooses the server that everything is asked of.
type chooseServer struct {
	URL string `json:"url"`
	CA  string `json:"ca,omitempty" doc:"certificate (PEM) that the server's must come from; absent: what is known of the server, else the system's authorities"`
}

// images are those of this computer.
type images struct {
	Tests  []testImage   `json:"tests" nullable:"false"`
	Packed []packedImage `json:"packed" nullable:"false"`
}

// testImage is a disk that can be run under a policy before it is packed.
type testImage struct {
	Name    string    `json:"name"`
	Disk    string    `json:"disk" doc:"the disk's file, or a description of several (.json)"`
	Format  string    `json:"format,omitempty" doc:"raw, qcow2, vmdk, vpc or vhdx; absent: what the disk looks like"`
	Size    int64     `json:"size" doc:"what the file takes on this computer; 0 when it is missing"`
	Missing bool      `json:"missing" doc:"the file is gone"`
	Created time.Time `json:"created"`
	Running string    `json:"running,omitempty" doc:"the run that is under way"`
}

// newTest adds a test image. Its disk stays where it is.
type newTest struct {
	Name   string `json:"name"`
	Disk   string `json:"disk" doc:"absolute path of a disk file, or of a description of several (.json)"`
	Format string `json:"format,omitempty" doc:"raw, qcow2, vmdk, vpc or vhdx; absent: what the disk looks like"`
}

// packedImage is an image that was packed on this computer.
type packedImage struct {
	Name     string            `json:"name"`
	Image    dormer.ImageID    `json:"image"`
	Sizes    imageformat.Sizes `json:"sizes"`
	Created  time.Time         `json:"created"`
	Uploaded *uploaded         `json:"uploaded,omitempty" doc:"where it was uploaded to last; absent: not from this console"`
}

// uploaded says which version a packed image has become.
type uploaded struct {
	Server  string    `json:"server"`
	Version int       `json:"version"`
	At      time.Time `json:"at"`
}

// folder is what of a folder of this computer may be chosen as a disk.
type folder struct {
	Path    string  `json:"path"`
	Parent  string  `json:"parent,omitempty" doc:"the folder above; absent at the top"`
	Entries []entry `json:"entries" nullable:"false" doc:"folders first, by name; hidden files, links and what is no disk are left out"`
	More    bool    `json:"more" doc:"there are more entries than these"`
}

// entry is a folder or a disk's file.
type entry struct {
	Name   string    `json:"name"`
	Path   string    `json:"path"`
	Folder bool      `json:"folder"`
	Size   int64     `json:"size,omitempty"`
	Time   time.Time `json:"time"`
}

// newRun runs a test image under a policy.
type newRun struct {
	Test      string `json:"test"`
	Workspace string `json:"workspace,omitempty" doc:"name of the workspace whose policy holds, with all its grants; absent: nothing is allowed beside the network"`
	Memory    int    `json:"memory,omitempty" doc:"in MiB; absent: the policy's, without one the description's"`
}

// run is a machine that runs a test image. What its guest writes is thrown away.
type run struct {
	ID           string     `json:"id"`
	Test         string     `json:"test"`
	Workspace    string     `json:"workspace,omitempty"`
	State        string     `json:"state" enum:"starting,running,ending,ended,failed"`
	Screen       bool       `json:"screen" doc:"the guest's screen can be shown"`
	ComputerName string     `json:"computer_name,omitempty"`
	Memory       int        `json:"memory,omitempty" doc:"in MiB"`
	Processors   int        `json:"processors,omitempty"`
	Ready        bool       `json:"ready" doc:"the guest's agent has answered"`
	System       string     `json:"system,omitempty" doc:"the guest's system, as its agent says"`
	Warnings     []string   `json:"warnings" nullable:"false" doc:"what the policy wants and this computer cannot give"`
	Message      string     `json:"message,omitempty" doc:"why it failed"`
	Started      time.Time  `json:"started"`
	Ended        *time.Time `json:"ended,omitempty"`
}

// newJob begins a job.
type newJob struct {
	Kind        workbench.JobKind `json:"kind" enum:"pack,upload,download,extract,verify"`
	Name        string            `json:"name" doc:"name of the image"`
	Test        string            `json:"test,omitempty" doc:"pack: the test image that it is made of (absent: the one of the image's name); extract: the test image that the disk becomes"`
	Version     int               `json:"version,omitempty" doc:"of the image on the server; absent: the newest, for uploads the next free one"`
	To          string            `json:"to,omitempty" doc:"extract: absolute path of the file to be written; download: folder of the store (absent: that of this computer)"`
	Format      string            `json:"format,omitempty" doc:"extract: qcow2 or raw; absent: qcow2"`
	Disk        string            `json:"disk,omitempty" doc:"extract: name of the disk; absent: the first"`
	Unencrypted bool              `json:"unencrypted,omitempty" doc:"pack: whoever can read the repository can read the image"`
}

// job is something long that goes on whatever the browser does. Jobs of one
// kind run one after the other.
type job struct {
	ID       string            `json:"id"`
	Kind     workbench.JobKind `json:"kind" enum:"pack,upload,download,extract,verify"`
	Name     string            `json:"name"`
	Version  int               `json:"version,omitempty"`
	State    string            `json:"state" enum:"waiting,running,done,failed,cancelled"`
	Done     int64             `json:"done" doc:"bytes"`
	Total    int64             `json:"total" doc:"bytes; 0 while it is not known"`
	Rate     int64             `json:"rate" doc:"bytes a second"`
	Message  string            `json:"message,omitempty" doc:"what has come of it, or why it failed"`
	Warnings []string          `json:"warnings" nullable:"false" doc:"what keeps the disk from being a good image"`
	Asked    time.Time         `json:"asked"`
	Started  *time.Time        `json:"started,omitempty"`
	Ended    *time.Time        `json:"ended,omitempty"`
}
