package limits

import "sync"

// Sessions bounds how many sessions a user has at once. The zero value has none.
type Sessions struct {
	mu   sync.Mutex
	open map[string]int
}

// Acquire counts a session of user until release is called; calling it again does nothing. If there
// are most sessions already, or more, ok is false and release is nil. Also without a limit they are
// counted, for one that is set later.
func (s *Sessions) Acquire(user string, most int) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most > 0 && s.open[user] >= most {
		return nil, false
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.open[user]++
	return sync.OnceFunc(func() { s.release(user) }), true
}

func (s *Sessions) release(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[user]--; s.open[user] == 0 {
		delete(s.open, user)
	}
}
