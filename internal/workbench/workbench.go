// Package workbench is what administrators do with images on their own
// computer: pack disks, upload, fetch and check images, and run a disk under a
// workspace's policy before it is packed. The command line calls it, and `dormer
// console` by jobs and runs that go on whatever the browser does. It stands
// between programs and edges: it speaks with the server through apiclient and
// starts machines through hypervisor, and only programs import it.
//
// A test image is a disk on this computer that is run and packed; what is
// packed is an image that this computer can upload.
package workbench
