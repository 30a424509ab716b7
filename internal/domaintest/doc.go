// Package domaintest runs the whole product in one process against real Active
// Directory domains: server, agents with a hypervisor in memory, and Samba.
// There is nothing in it but tests.
package domaintest
