package auth

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// answers are the good ones of late. Where there are too many, the oldest go.
type answers struct {
	life time.Duration

	mu    sync.Mutex
	byKey map[answerKey]*list.Element
	queue list.List // of answer, the oldest first
	size  int
}

// answerKey is a keyed hash: what is remembered is of no use for guessing passwords.
type answerKey [sha256.Size]byte

type answer struct {
	key   answerKey
	user  *User
	size  int // in bytes, as it came
	until time.Time
}

// get returns nil if there is no answer any more.
func (a *answers) get(key answerKey, now time.Time) *User {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byKey[key]
	if e == nil {
		return nil
	}
	if found := e.Value.(answer); now.Before(found.until) {
		return found.user
	}
	a.remove(e)
	return nil
}

func (a *answers) add(key answerKey, u *User, size int, now time.Time) {
	if a.life < 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byKey[key]; e != nil {
		a.remove(e)
	}
	a.byKey[key] = a.queue.PushBack(answer{key, u, size, now.Add(a.life)})
	a.size += size
	for len(a.byKey) > maxRemembered || a.size > maxRememberedSize {
		a.remove(a.queue.Front())
	}
}

func (a *answers) remove(e *list.Element) {
	gone := a.queue.Remove(e).(answer)
	delete(a.byKey, gone.key)
	a.size -= gone.size
}
