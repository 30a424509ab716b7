package policy

// Performance is the tab of memory and processors. A row holds for hosts with
// at least its host figure, up to the next row.
type Performance struct {
	Memory     []MemoryRow    `json:"memory,omitzero" default:"1GiB, from 8GiB 2GiB, from 16GiB 4GiB, from 32GiB 8GiB" doc:"Memory of the guest by the memory of the host."`
	Processors []ProcessorRow `json:"processors,omitzero" default:"1, from 4 2, from 8 4" doc:"Processors of the guest by those of the host."`
}

// MemoryRow gives guests memory on hosts that have at least Host.
type MemoryRow struct {
	Host  *Size `json:"host,omitzero" default:"0MiB" doc:"The row holds for hosts with at least this memory. Absent in the first row, ascending in the others." when:"next start" enforced:"yes"`
	Guest *Size `json:"guest,omitzero" required:"yes" doc:"Memory of the guest, from 64MiB to 1TiB in whole MiB." when:"next start" enforced:"yes"`
}

// ProcessorRow gives guests processors on hosts that have at least Host.
type ProcessorRow struct {
	Host  *int `json:"host,omitzero" default:"0" min:"0" max:"4096" doc:"The row holds for hosts with at least this many processors. Absent in the first row, ascending in the others." when:"next start" enforced:"yes"`
	Guest *int `json:"guest,omitzero" required:"yes" min:"1" max:"256" doc:"Processors of the guest." when:"next start" enforced:"yes"`
}
