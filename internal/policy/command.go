package policy

import (
	"errors"
	"strings"
)

// SplitCommand splits a command line into a program and its arguments. Spaces
// separate; within '...' nothing is special; within "..." only \" is, which
// stands for a quote. A backslash is otherwise itself, so that paths of
// Windows are written as they are. There is no shell: no variable, no
// wildcard and no redirection is looked at.
func SplitCommand(s string) ([]string, error) {
	var args []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case 0, '\n', '\r':
			return nil, errors.New("must be one line")
		case ' ', '\t':
			if inWord {
				args = append(args, word.String())
				word.Reset()
				inWord = false
			}
		case '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return nil, errors.New("a ' is not closed; put \"...\" around a word that holds a single quote")
			}
			word.WriteString(s[i+1 : i+1+end])
			i += end + 1
			inWord = true
		case '"':
			end, err := quoted(s[i+1:], &word)
			if err != nil {
				return nil, err
			}
			i += end
			inWord = true
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		args = append(args, word.String())
	}
	return args, nil
}

// quoted writes what stands before the closing quote and returns how many
// bytes were read, the quote included.
func quoted(s string, word *strings.Builder) (int, error) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return i + 1, nil
		case s[i] == '\n' || s[i] == '\r' || s[i] == 0:
			return 0, errors.New("must be one line")
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			word.WriteByte('"')
			i++
		default:
			word.WriteByte(s[i])
		}
	}
	return 0, errors.New(`a " is not closed; a backslash before a quote belongs to it`)
}
