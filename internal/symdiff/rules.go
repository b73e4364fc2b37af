package symdiff

import (
	"slices"
	"strings"

	"github.com/ukdbg/ukdbg/symbolizer"
)

// comparison is one address, with what rules look at.
type comparison struct {
	im    *symbolizer.Image
	lines LineTable
	homes map[string]string
	Difference
}

// Rule makes of llvm-symbolizer's answer what is right, or of both what is the
// same, where it fits.
type Rule struct {
	// Name is short, and Why tells who is right and by what text.
	Name, Why string
	apply     func(c *comparison)
}

// unexplained is no rule's name.
const unexplained = "?"

// judge returns the name of the last rule that was needed to make both answers
// equal, "" if none was, unexplained if they are not.
func (c *comparison) judge() string {
	if slices.Equal(c.Ours, c.LLVM) {
		return ""
	}
	c.Ours, c.LLVM = slices.Clone(c.Ours), slices.Clone(c.LLVM)
	for _, r := range Rules() {
		if r.apply(c); slices.Equal(c.Ours, c.LLVM) {
			return r.Name
		}
	}
	return unexplained
}

// Rules are applied in this order, each on top of those before it.
func Rules() []Rule {
	return []Rule{
		{
			Name: "statement",
			Why: `Of several rows at one address llvm-symbolizer takes the last, gdb and we the last that is_stmt, the
"recommended breakpoint location" (DWARF 5, 6.2.2); a row that only begins another block of its line (discriminator,
ibid.) does not change the line for gdb.`,
			apply: func(c *comparison) { c.lines.AsGDB(c.Addr, &c.LLVM[0].File, &c.LLVM[0].Line) },
		},
		{
			Name: "alias",
			Why: `Several symbols stand for the same code, as a constructor's C1 and C2, or a label stands inside a function:
either name is right (System V ABI, "Symbol Table", tells of no order).`,
			apply: (*comparison).alias,
		},
		{
			Name: "renamed body",
			Why: `LLVM's ThinLTO gives a body that several crates share a symbol of its own making (NAME.llvm.HASH), of one of the
functions that MergeFunctions found to be the same. The entry that covers the code has the name of the source
(DW_AT_linkage_name, DWARF 5, 3.3.9). gdb and we tell that, llvm-symbolizer what the symbol table says.`,
			apply: func(c *comparison) {
				k := len(c.Ours) - 1
				if k != len(c.LLVM)-1 || !strings.Contains(c.LLVM[k].Function, ".llvm.") {
					return
				}
				if sym, ok := c.im.SymbolByName(c.LLVM[k].Function); ok && c.Addr-sym.Addr < sym.Size {
					c.LLVM[k].Function = c.Ours[k].Function
				}
			},
		},
		{
			Name: "no line",
			Why: `Line 0 "cannot be attributed to any source line" (DWARF 5, 6.2.2): no file belongs to it; llvm-symbolizer
gives that of the row, of the symbol table or of the declaration.`,
			apply: func(c *comparison) {
				for k := range min(len(c.Ours), len(c.LLVM)) {
					if c.Ours[k].Line == 0 && c.LLVM[k].Line == 0 {
						c.LLVM[k].File = c.Ours[k].File
					}
				}
			},
		},
		{
			Name: "other section",
			Why: `llvm-symbolizer stretches a symbol without a size over the sections behind it (_init over .plt, Linux'
__alt_instructions_end over .altinstr_replacement); a symbol is
"defined in relation to some section" (System V ABI, st_shndx), and code of another section has no symbol: so gdb.`,
			apply: func(c *comparison) {
				at, _ := c.im.SectionAt(c.Addr)
				of, ok := c.homes[c.LLVM[0].Function]
				if len(c.LLVM) != 1 || !ok || of == at.Name {
					return
				}
				c.LLVM[0].Function = "??"
				if c.LLVM[0].Line == 0 {
					c.LLVM[0].File = "??"
				}
			},
		},
		{
			Name: "split function without ranges",
			Why: `DWARF 2 has no DW_AT_ranges: gcc tells no code at all of a function it split, and that of what is inlined
into it alone. llvm-symbolizer makes a stack of that and so says more; we name the symbol and the line. Strict DWARF 2
only.`,
			apply: func(c *comparison) {
				if n := len(c.LLVM); n > 1 && len(c.Ours) == 1 && c.LLVM[n-1].Line == 0 && c.LLVM[n-1].Function == c.Ours[0].Function {
					c.LLVM = []Frame{{c.Ours[0].Function, c.LLVM[0].File, c.LLVM[0].Line}}
				}
			},
		},
	}
}

func (c *comparison) alias() {
	for k := range min(len(c.Ours), len(c.LLVM)) {
		a, b := c.Ours[k].Function, c.LLVM[k].Function
		x, ok1 := c.im.SymbolByName(a)
		y, ok2 := c.im.SymbolByName(b)
		inside := y.Size == 0 && y.Addr >= x.Addr && y.Addr < x.Addr+x.Size
		if a != b && ok1 && ok2 && (x.Addr == y.Addr && x.Size == y.Size || inside) {
			c.LLVM[k].Function = a
		}
	}
}
