package expr

import "github.com/ukdbg/ukdbg/symbolizer/ctype"

// node is a part of a parsed expression.
type node interface{}

type (
	// literal is a number, character or string.
	literal struct {
		typ  *ctype.Type
		data []byte
	}
	// name is an identifier; file, if set, the file or function it is in.
	name struct{ file, name string }
	// dollar is $name.
	dollar struct{ name string }
	unary  struct {
		op string
		x  node
	}
	binaryOp struct {
		op   string
		x, y node
	}
	logical struct {
		and  bool
		x, y node
	}
	cond   struct{ c, x, y node }
	assign struct {
		op   string // "" for =, else the operator before it
		x, y node
	}
	cast struct {
		typ *ctype.Type
		x   node
	}
	sizeofType struct{ typ *ctype.Type }
	sizeofExpr struct{ x node }
	member     struct {
		x    node
		name string
	}
	index struct{ x, i node }
	comma struct{ x, y node }
)
