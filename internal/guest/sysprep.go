package guest

// identityFinding says whether a Windows system is one for every computer, by
// the state that its setup notes.
func identityFinding(imageState string) (good bool, text, remedy string, err error) {
	const prefix = "IMAGE_STATE_GENERALIZE_RESEAL_TO_"
	if len(imageState) > len(prefix) && imageState[:len(prefix)] == prefix {
		return true, "Sysprep has generalized the system.", "", nil
	}
	return false, "The system is not generalized: all machines made from the image would be the same computer.",
		`After 'dormer-guest prepare' run 'C:\Windows\System32\Sysprep\sysprep.exe /generalize /oobe /shutdown'.`, nil
}
