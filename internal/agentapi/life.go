package agentapi

// Locking, updates: what happens to a machine between start and stop.
var lifeRoutes = []route{}
