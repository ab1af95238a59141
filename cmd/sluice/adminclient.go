package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// adminFlags gives a command, and those below it, the flags that name a running gateway.
func adminFlags(c *cobra.Command) (dial func(*cobra.Command) (*adminClient, error)) {
	var socket, file string
	c.PersistentFlags().StringVar(&socket, "socket", "", "the gateway's admin_socket, a `path`")
	c.PersistentFlags().StringVar(&file, "config", "", "configuration `file` that names the socket")
	return func(c *cobra.Command) (*adminClient, error) {
		path, err := adminSocket(c, socket, file)
		return &adminClient{path}, err
	}
}

// adminSocket finds the socket: the flag's, or that of the configuration.
func adminSocket(c *cobra.Command, socket, file string) (string, error) {
	if socket != "" {
		return socket, nil
	}
	if err := refuseEmptyConfig(c); err != nil {
		return "", err
	}
	if file == "" {
		return "", usage(c, "--socket or --config is missing")
	}
	conf, err := loadConfig(file, os.LookupEnv)
	if err != nil {
		return "", err
	}
	if conf.AdminSocket == "" {
		return "", conf.fault("admin_socket", errors.New("missing, so there is nobody to ask"), "name a path for the socket and restart the gateway")
	}
	return conf.AdminSocket, nil
}

// adminClient asks a gateway by its socket.
type adminClient struct{ path string }

// do sends one request, and waits for its answer no longer than timeout; 0 is as long as it takes.
func (a *adminClient) do(ctx context.Context, method, path string, timeout time.Duration) (*http.Response, error) {
	client := http.Client{Timeout: timeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", a.path)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://sluice"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	var op *net.OpError
	if errors.As(err, &op) {
		return nil, hint{error: fmt.Errorf("the gateway at %s does not answer: %w", a.path, op.Err), todo: "is it running, and as you?"}
	}
	return resp, err
}

// decode reads the answer of a gateway.
func decode(resp *http.Response, into any) error {
	if resp.StatusCode != http.StatusOK {
		return refused(resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("what the gateway says: %w", err)
	}
	return nil
}

// refused is for an answer that is not the one that was hoped for.
func refused(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil || len(text) == 0 {
		text = []byte(resp.Status)
	}
	return fmt.Errorf("the gateway says: %s", quoted(strings.TrimSpace(string(text))))
}
