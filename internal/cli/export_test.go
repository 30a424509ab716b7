package cli

import "flag"

// update says that the tests write what they expect anew.
var update = flag.Bool("update", false, "write docs/commands.md and the expectations of scripts anew")

// Update tells it to for the external tests.
func Update() bool { return *update }
