package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints a script for the shell: bash and zsh complete the words of every command,
// fish each with its help.
func (c completionCmd) Run(a *app) error {
	root := a.parser.Model.Node
	if c.Shell == "fish" {
		for _, n := range root.Children {
			if n.Type == kong.CommandNode {
				a.out.line("complete -c botops -n __fish_use_subcommand -f -a %s -d %q", n.Name, n.Help)
				for _, w := range words(n) {
					if flag, ok := strings.CutPrefix(w, "--"); ok {
						a.out.line("complete -c botops -n '__fish_seen_subcommand_from %s' -l %s", n.Name, flag)
					} else {
						a.out.line("complete -c botops -n '__fish_seen_subcommand_from %s' -f -a %s", n.Name, w)
					}
				}
			}
		}
		return nil
	}
	if c.Shell == "zsh" {
		a.out.line("autoload -U +X bashcompinit && bashcompinit")
	}
	a.out.line("_botops() {\n  local cur=${COMP_WORDS[COMP_CWORD]} words=\n  case ${COMP_WORDS[1]} in")
	var names []string
	for _, n := range root.Children {
		names = append(names, n.Name)
		a.out.line("    %s) words=%q ;;", n.Name, strings.Join(append(words(n), words(root)...), " "))
	}
	for name := range documented {
		names = append(names, name)
	}
	slices.Sort(names)
	a.out.line("  esac\n  if [ \"$COMP_CWORD\" -eq 1 ]; then words=%q; fi", strings.Join(names, " "))
	a.out.line("  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _botops botops")
	return nil
}

// words are the flags and commands below a node.
func words(n *kong.Node) []string {
	var out []string
	for _, f := range n.Flags {
		if !f.Hidden {
			out = append(out, "--"+f.Name)
		}
	}
	if n.Type == kong.ApplicationNode {
		return out
	}
	for _, child := range n.Children {
		out = append(out, child.Name)
	}
	return out
}
