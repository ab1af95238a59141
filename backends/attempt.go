package backends

import "context"

type attemptKey struct{}

// WithAttempt says that what is sent with ctx was sent n times before, so that whoever watches an
// adapter's requests can tell those that are repeated.
func WithAttempt(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, attemptKey{}, n)
}

// Attempt returns how many times what is sent with ctx was sent before.
func Attempt(ctx context.Context) int {
	n, _ := ctx.Value(attemptKey{}).(int)
	return n
}
