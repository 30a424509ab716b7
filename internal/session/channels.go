package session

// What passes between host and guest as the user: files, folders, printing.
var channelRoutes = []route{}
