package agentapi

// The session processes of users.
var deskRoutes = []route{}
