package qemu

// devices are what a policy may allow beside disks and network: channels,
// sound, USB and the optical drive.
func (p plan) devices() []string { return nil }
