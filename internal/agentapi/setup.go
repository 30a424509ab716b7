package agentapi

// First-time setup.
var setupRoutes = []route{}
