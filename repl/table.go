package repl

import (
	"context"
	"fmt"
	"sort"
	"strings"
)

// command is one command of the session.
type command struct {
	name string
	// aliases are names that win over any prefix rule: gdb's abbreviations.
	aliases []string
	// args shows the arguments in the help, "" if it takes none.
	args string
	// help is one line.
	help string
	// topic groups the commands in the help.
	topic string
	// complete proposes words for the arguments, nil for none.
	complete func(r *REPL, args string) (words []string, start int)
	// repeat: an empty line runs the command again, as stepping wants it.
	repeat bool
	// controls: it stops or changes the guest, which an observed one must be taken
	// over for.
	controls bool
	// alone: it makes sense without a guest.
	alone bool
	run   func(ctx context.Context, r *REPL, args string) error
}

// UnknownError says that a word names no command or several.
type UnknownError struct {
	Word  string
	Among []string // the candidates if the word is ambiguous
}

func (e *UnknownError) Error() string {
	if len(e.Among) > 0 {
		return fmt.Sprintf("%q is ambiguous: %s", e.Word, strings.Join(e.Among, ", "))
	}
	return fmt.Sprintf("no command %q; try help", e.Word)
}

// lookup finds the command a word means: its name, an alias, or the only
// command that starts with it.
func lookup(commands []*command, word string) (*command, error) {
	var found []*command
	for _, c := range commands {
		if c.name == word {
			return c, nil
		}
		for _, a := range c.aliases {
			if a == word {
				return c, nil
			}
		}
		if strings.HasPrefix(c.name, word) {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, &UnknownError{Word: word}
	}
	e := &UnknownError{Word: word}
	for _, c := range found {
		e.Among = append(e.Among, c.name)
	}
	sort.Strings(e.Among)
	return nil, e
}

// split cuts a line into its command word and the rest. The word ends at a
// blank, or at the '/' of a format ("x/8xg", "print/x").
func split(line string) (word, args string) {
	line = strings.TrimSpace(line)
	i := strings.IndexFunc(line, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	})
	switch {
	case i < 0:
		return line, ""
	case i == 0:
		return line[:1], strings.TrimSpace(line[1:])
	}
	return line[:i], strings.TrimSpace(line[i:])
}
