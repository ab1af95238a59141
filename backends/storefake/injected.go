package storefake

import (
	"cmp"
	"net/http"
	"strings"
)

// Injected completes an error that a test asks for, of which it may have said only the status or
// only the word. words has what a store says most often with a status, statuses the reverse.
func Injected(status int, word string, words map[int]string, statuses map[string]int) (int, string) {
	word = cmp.Or(word, words[status], strings.ReplaceAll(http.StatusText(status), " ", ""))
	return cmp.Or(status, statuses[word], http.StatusInternalServerError), word
}
