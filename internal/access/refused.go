package access

// ProblemKind names the problem that a program, not only a person, must tell
// apart: a password to be changed. Other refusals are plain denials.
func (e *RefusedError) ProblemKind() string {
	if e.Reason == ReasonMustChange {
		return "must-change-password"
	}
	return "denied"
}
