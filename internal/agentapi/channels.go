package agentapi

// Files, clipboard and what else passes between host and guest.
var channelRoutes = []route{}
