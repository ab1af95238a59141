package gateway

import "context"

// Tracer follows commands down to the calls of the stores.
type Tracer interface {
	// Command begins the span of a command, one of Verbs or VerbOther, of a session. What is called for the
	// command gets the context that it returns, and end is called with its final reply.
	Command(ctx context.Context, session, verb string) (traced context.Context, end func(code int, fault Fault))
}

// trace begins the span of a command. Those that are answered beside a transfer have none.
func (s *Session) trace(f *flight) *flight {
	if s.server.opts.Tracer == nil {
		return f
	}
	ctx, end := s.server.opts.Tracer.Command(s.ctx, s.id, nameOf(f.cmd.Verb))
	f.ctx, f.traced = ctx, func(r Reply) { end(r.Code, r.faultOf()) }
	return f
}

// work is the context of what is done for the command in flight.
func (s *Session) work() context.Context {
	if s.server.opts.Tracer == nil {
		return s.ctx
	}
	s.control.mu.Lock()
	defer s.control.mu.Unlock()
	if f := s.control.flight; f != nil && f.ctx != nil {
		return f.ctx
	}
	return s.ctx
}

// nameOf is what a verb is called where there may be no end of names.
func nameOf(verb string) string {
	if !KnownCommand(verb) {
		return VerbOther
	}
	return verb
}
