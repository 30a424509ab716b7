package workbench

// JobKind says what a job does.
type JobKind string

// Kinds of jobs.
const (
	JobPack     JobKind = "pack"     // a test image becomes a packed image
	JobUpload   JobKind = "upload"   // a packed image becomes a version on the server
	JobDownload JobKind = "download" // a version comes into the image store of this computer
	JobExtract  JobKind = "extract"  // a disk of a version becomes a file
	JobVerify   JobKind = "verify"   // a version is read whole and checked
)
