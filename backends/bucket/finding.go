package bucket

import (
	"fmt"
	"time"
)

// Finding is something that is wrong with a configuration or a bucket, and what to do about it.
type Finding struct {
	// Setting is the key of the configuration that it is about: "bucket", "region".
	Setting string
	// Todo says how to mend it.
	Todo string
	// Err is what the store said.
	Err error
}

// Error implements error.
func (f *Finding) Error() string { return fmt.Sprintf("%v; %s", f.Err, f.Todo) }

// Unwrap returns what the store said.
func (f *Finding) Unwrap() error { return f.Err }

// CheckTime is how long the Check of a store waits: someone sits at the terminal, or a pod is to become ready.
const CheckTime = 15 * time.Second

// Explain makes a Finding of what a store said to a request for what begins with prefix, which has to
// succeed, if advice says what to do about it.
func Explain(err error, prefix string, failure func(error) Failure, advice func(error) (setting, todo string)) error {
	if err == nil {
		return nil
	}
	err = Translate(failure, "list", prefix, err)
	setting, todo := advice(err)
	if todo == "" {
		return err
	}
	return &Finding{Setting: setting, Todo: todo, Err: err}
}
