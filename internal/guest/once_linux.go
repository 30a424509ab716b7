package guest

// onceFolder is where commands are kept that are never begun a second time.
func onceFolder() string { return "/var/lib/dormer-guest/once" }
