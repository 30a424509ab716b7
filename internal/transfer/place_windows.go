package transfer

// Windows has no pipes in folders, and a Root follows no link out.
const (
	noWait   = 0
	noFollow = 0
)
