package guest

// toolEnvironment is the environment of what the agent runs for itself.
func toolEnvironment() []string {
	return []string{"PATH=" + defaultPath, "LC_ALL=C.UTF-8", "HOME=/root"}
}
