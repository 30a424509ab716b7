// Package producttest runs the whole product in one test process: a real server
// with its databases, TLS and repository, and many agents with their stores and
// a hypervisor in memory. Clocks are moved, servers and agents go and come back.
// It holds tests alone; nothing imports it.
package producttest
