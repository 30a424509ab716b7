package document

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
