// Package e2e runs the programs as people do: dormerd, dormer-agent and dormer,
// built once, with real guests under QEMU. Nothing is reached but what a user or
// an administrator has: command lines, files, processes. It holds tests alone;
// nothing imports it.
//
// Words: the instance is the one server that all tests share, with the images
// they need; a desk is a computer with an agent and somebody who works there.
package e2e
