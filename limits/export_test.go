package limits

var NetworkOf = networkOf

// Remembered returns how many subjects b knows, and how many users who have logged in.
func Remembered(b *Bans) (subjects, users int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.subjects.counting.Len() + b.subjects.punished.Len(); n != len(b.subjects.byKey) {
		panic("the queues and the table differ")
	}
	return len(b.subjects.byKey), len(b.known.byUser)
}

// OpenFrom returns how many networks c counts.
func OpenFrom(c *Connections) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.from)
}

// OpenOf returns how many users s counts.
func OpenOf(s *Sessions) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Limited returns how many users and directions b keeps a limiter of.
func Limited(b *Bandwidth) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.users)
}
