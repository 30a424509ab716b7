// Package load puts a dormerd under load: the program as a process of its own, a
// PostgreSQL of its own, and many clients that enrol, poll and send events as
// agents do, over HTTPS. Measurements (internal/eventbench, internal/planbench) and tests that kill
// what runs (internal/faulttest) import it, nothing else does.
//
// Its words: what was sent may be stored or not; what was acknowledged is stored,
// whatever happens afterwards.
package load
