package main

import (
	"fmt"
	"os"
	"strings"
)

// readSecret returns what a file holds, without the line's end that editors leave. Blanks are part of it.
func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty; write the secret into it", path)
	}
	return secret, nil
}
