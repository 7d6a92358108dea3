// Package mutants plants bugs and expects the tests to find them.
//
// A mutant is a small file in testdata. It names a bug, the test that must catch it,
// and the replacement of one piece of text in one source file:
//
//	# law 2: Enter does not look at the gate again after it is counted
//	package: ./safety
//	test: TestLaw2_
//	file: safety/permit.go
//	-- old --
//	text that occurs exactly once in that file
//	-- new --
//	text in its place; it compiles
//
// The replacement reaches the compiler through go test -overlay: the working tree is
// never touched. A mutant is killed when a test fails or panics, or the test binary
// reaches its time limit, and survives when the test passes. A mutant that does not
// compile, or whose pattern matches no test, proves nothing and is an error; so is
// one whose test is not green without it.
//
// # Usage
//
// Plain go test checks that every file parses, that its old text occurs exactly
// once, and that its pattern matches a test. With ANDON_MUTANTS=1 it runs them all,
// as ./bench.sh does; ANDON_MUTANTS may also be a pattern of mutants' names:
//
//	ANDON_MUTANTS=safety_ go test ./internal/mutants -v -timeout 30m
//
// The package is test support; production packages do not import it.
package mutants
