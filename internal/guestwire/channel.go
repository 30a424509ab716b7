package guestwire

// Channel is a virtio-serial port beside PortName, for what a policy may allow:
// a machine whose policy does not has no such port. Each carries HTTP/2 without
// TLS, after a handshake (see stream.go); which side asks is written beside it.
type Channel string

// The channels.
const (
	// ChannelFiles moves files; the host asks.
	ChannelFiles Channel = "files"
	// ChannelClipboard moves the clipboard's content; the host asks.
	ChannelClipboard Channel = "clipboard"
	// ChannelFolders serves shared folders (WebDAV); the guest asks.
	ChannelFolders Channel = "folders"
	// ChannelPrint serves printers (IPP); the guest asks.
	ChannelPrint Channel = "print"
)

// Channels lists all channels.
var Channels = []Channel{ChannelFiles, ChannelClipboard, ChannelFolders, ChannelPrint}

// PortName is the name of the channel's virtio-serial port.
func (c Channel) PortName() string { return "org.dormer." + string(c) + ".0" }
