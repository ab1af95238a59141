// Package google sets the adapter for Google Cloud Storage, our fake of that, a fake that others wrote and
// Google's own client against each other. It is a package of its own because that client is large.
package google
