package detect

import (
	"bytes"
	"slices"
)

// automaton finds which of many texts a line contains, in one look at each byte: the
// machine of Aho and Corasick with every step worked out beforehand. Texts are in lower
// case, and what is looked through is read as if it were.
type automaton struct {
	class [256]uint32 // of a byte: bytes that no text has are one
	next  []uint32    // [state + class] to state; a state is the index of its row
	row   uint32      // the length of a row
	hits  []found     // by row: the sets of which a text ends here
	from  uint32      // states from here on have hits
}

// found says of which sets of texts one was found: bit i of word s is set s of pattern i.
type found [maxSets]uint64

func (f *found) add(g found) {
	for s := range f {
		f[s] |= g[s]
	}
}

// newAutomaton makes the automaton of patterns, each with its sets of texts.
func newAutomaton(patterns [][][]string) *automaton {
	a := &automaton{}
	// Every byte that occurs gets a class of its own; 0 is for the others.
	classes := uint32(1)
	for _, sets := range patterns {
		for _, s := range slices.Concat(sets...) {
			for i := range len(s) {
				if a.class[s[i]] == 0 {
					a.class[s[i]] = classes
					classes++
				}
			}
		}
	}
	for c := byte('A'); c <= 'Z'; c++ {
		a.class[c] = a.class[lowerByte(c)]
	}
	a.row = classes

	// The trie of the texts.
	type node struct {
		next map[uint32]int
		hits found
		fail int
	}
	trie := []node{{next: map[uint32]int{}}}
	plant := func(text string) (end int) {
		for i := range len(text) {
			c := a.class[text[i]]
			to, ok := trie[end].next[c]
			if !ok {
				to = len(trie)
				trie = append(trie, node{next: map[uint32]int{}})
				trie[end].next[c] = to
			}
			end = to
		}
		return end
	}
	for i, sets := range patterns {
		for s, texts := range sets {
			for _, text := range texts {
				end := plant(text)
				trie[end].hits[s] |= 1 << i
			}
		}
	}

	// Where a text does not go on, the longest end of it that begins another does.
	step := make([][]int, len(trie))
	order := []int{0}
	for n := 0; n < len(order); n++ {
		at := order[n]
		step[at] = make([]int, classes)
		if at != 0 {
			copy(step[at], step[trie[at].fail])
			trie[at].hits.add(trie[trie[at].fail].hits)
		}
		for c, to := range trie[at].next {
			if at != 0 {
				trie[to].fail = step[trie[at].fail][c]
			}
			step[at][c] = to
			order = append(order, to)
		}
	}

	// States with hits last, so that one comparison tells.
	number := make([]uint32, len(trie))
	n := uint32(0)
	for _, hit := range []bool{false, true} {
		if hit {
			a.from = n * a.row
		}
		for at := range trie {
			if (trie[at].hits != found{}) == hit {
				number[at] = n * a.row
				n++
			}
		}
	}
	a.next = make([]uint32, int(n*a.row))
	a.hits = make([]found, n)
	for at := range trie {
		a.hits[number[at]/a.row] = trie[at].hits
		for c := range classes {
			a.next[number[at]+c] = number[step[at][c]]
		}
	}
	return a
}

// scan calls hit for every line of b that contains a text, with the sets. b holds whole
// lines; no text holds a line's end.
func (a *automaton) scan(b []byte, hit func(line []byte, in found)) {
	next, class, from := a.next, &a.class, a.from
	s := uint32(0)
	for i := 0; i < len(b); i++ {
		s = next[s+class[b[i]]]
		if s < from {
			continue
		}
		start := bytes.LastIndexByte(b[:i], '\n') + 1
		end := len(b)
		if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
			end = i + n
		}
		in := a.hits[s/a.row]
		for i++; i < end; i++ {
			if s = next[s+class[b[i]]]; s >= from {
				in.add(a.hits[s/a.row])
			}
		}
		hit(b[start:end], in)
		s, i = 0, end
	}
}
