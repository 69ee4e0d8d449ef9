package filter

// CompileWithLoop compiles a filter, into a loop if it has at most so many terms.
func CompileWithLoop(s *Spec, upTo int) (*Program, error) { return compile(s, upTo) }
