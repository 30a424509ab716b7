package guestwire

import "time"

// What the host asks on ChannelFiles. Paths are the guest user's: absolute, or
// below that user's home, with slashes. Everything happens as that user. An
// answer other than 200 is an Error.
const (
	FilesStat    = "/stat"    // POST FileRequest -> transfer.Entry
	FilesList    = "/list"    // POST FileRequest -> []transfer.Entry
	FilesFolder  = "/folder"  // POST FileRequest -> nothing; makes it
	FilesRead    = "/read"    // POST FileRequest -> the bytes from Offset
	FilesHash    = "/hash"    // POST FileRequest -> StagedFile; of the first Offset bytes
	FilesStaged  = "/staged"  // POST StageRequest -> StagedFile
	FilesWrite   = "/write"   // POST, StageRequest as JSON in HeaderStage, the bytes from Offset -> StagedFile
	FilesCommit  = "/commit"  // POST StageRequest -> nothing
	FilesDiscard = "/discard" // POST StageRequest -> nothing
)

// HeaderStage carries the StageRequest of a request whose body are bytes.
const HeaderStage = "Dormer-Stage"

// What the host asks on ChannelClipboard: GET answers what was put there in the
// guest, PUT puts there what the host has, both as text.
const (
	ClipboardText = "/text"
	// MaxClipboard is the longest text, in bytes.
	MaxClipboard = 1 << 20
)

// PrintersPath is where the guest asks on ChannelPrint: GET -> []Printer, and with
// the name of a printer behind it, IPP. What it asks on ChannelFolders is WebDAV
// below /NAME/ of a folder.
const PrintersPath = "/printers/"

// FileRequest names a file.
type FileRequest struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset,omitempty"`
}

// StageRequest is about a file that the guest receives.
type StageRequest struct {
	// Path is what it shall be called, Key names the version of it.
	Path string `json:"path"`
	Key  string `json:"key"`
	// Offset is where the bytes of a write belong.
	Offset int64 `json:"offset,omitempty"`
	// Size is how long the whole file is.
	Size       int64     `json:"size"`
	Modified   time.Time `json:"modified,omitzero"`
	Executable bool      `json:"executable,omitempty"`
	Overwrite  bool      `json:"overwrite,omitempty"`
}

// StagedFile is what has come of a file.
type StagedFile struct {
	// File is where it is in the guest, for a command that examines it.
	File   string `json:"file,omitempty"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
}
