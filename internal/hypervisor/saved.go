package hypervisor

import "github.com/dormer-project/dormer"

// SavedState is what a saved state is bound to. It is stored beside it, in
// FileSavedState; a machine that would be another does not resume.
type SavedState struct {
	Hardware   Hardware         `json:"hardware"`
	Memory     int              `json:"memory"`
	Processors int              `json:"processors"`
	Layer      string           `json:"layer"`
	Base       []dormer.ImageID `json:"base,omitempty"`
	// Devices is a digest of all other devices.
	Devices string `json:"devices"`
}
