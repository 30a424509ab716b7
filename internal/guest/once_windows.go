package guest

import (
	"os"
	"path/filepath"
)

// onceFolder is where commands are kept that are never begun a second time.
func onceFolder() string { return filepath.Join(os.Getenv("ProgramData"), "Dormer", "once") }
