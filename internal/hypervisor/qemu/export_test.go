package qemu

// BridgeMAC is the address of the guest's adapter on one of the host's.
var BridgeMAC = bridgeMAC
