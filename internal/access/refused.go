package access

// ProblemKind names the problem that a program, not only a person, must tell
// apart: a password to be changed here. Other refusals are plain denials.
func (e *RefusedError) ProblemKind() string {
	if e.Reason == ReasonMustChange && e.Elsewhere == "" {
		return "must-change-password"
	}
	return "denied"
}
