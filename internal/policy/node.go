package policy

import (
	"strings"

	"github.com/dormer-project/dormer"
)

// Bounds of the text of a document, checked before it is turned into a tree:
// the parsers recurse.
const (
	maxDepth  = 32
	maxFields = 50_000 // fields and entries of lists
	// maxSiblings is far above the fields of any part of a document. The YAML
	// parser takes quadratic time over the fields of one.
	maxSiblings = 500
	maxErrors   = 100
)

const tooMany = "has more than 50,000 fields and entries up to here; grant to groups, or split the workspace"

type nodeKind int

const (
	nullNode nodeKind = iota
	textNode
	intNode
	boolNode
	otherNode // a number that is not whole, or out of range
	mapNode
	listNode
)

// node is a value of the document with the line where it stands. YAML and
// JSON become the same tree, so that both are held to the same rules.
type node struct {
	kind  nodeKind
	line  int
	text  string
	num   int64
	truth bool
	keys  []key   // of a map, in the order written; duplicates are kept
	items []*node // of a list
}

type key struct {
	name  string
	line  int
	value *node
}

// problems gathers what is wrong with a document, at most maxErrors of them.
type problems struct {
	fields []dormer.FieldError
}

func (p *problems) add(path string, line int, message string) {
	if len(p.fields) < maxErrors {
		p.fields = append(p.fields, dormer.FieldError{Path: path, Line: line, Message: message})
	}
}

// syntax is one error about the text as a whole.
func syntax(line int, message string) error {
	return &dormer.InvalidError{Fields: []dormer.FieldError{{Line: line, Message: message}}}
}

// nearest returns the known name that somebody who wrote s probably meant, or
// nothing.
func nearest(s string, known []string) string {
	if len(s) > 64 {
		return ""
	}
	best, distance := "", len(s)/3+2
	for _, k := range known {
		if strings.EqualFold(k, s) {
			return k
		}
		if len(s) > 2 && strings.HasPrefix(strings.ToLower(k), strings.ToLower(s)) {
			best, distance = k, 0
		}
		if d := editDistance(strings.ToLower(s), strings.ToLower(k)); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
