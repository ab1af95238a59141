package versity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	startLimit = 20 * time.Second
	stopLimit  = 15 * time.Second // it gives its requests 10
)

// process is a running versitygw.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer // may be read when the process has ended
	// ended is done when the process has ended: a context, because what is asked of it ends then too.
	ended context.Context
}

func start(bin string, args []string) (*process, error) {
	ended, end := context.WithCancel(context.Background())
	p := &process{cmd: exec.CommandContext(context.Background(), bin, args...), ended: ended}
	p.cmd.Env = []string{} // it would take options from there
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		end()
		return nil, fmt.Errorf("versity: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says how it ended
		end()
	}()
	return p, nil
}

// await asks until the server is ready or has ended.
func (p *process) await(ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(p.ended, startLimit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if p.ended.Err() != nil {
				return fmt.Errorf("versity: versitygw ended before it was ready: %v", p.cmd.ProcessState)
			}
			return fmt.Errorf("versity: versitygw is not ready after %v: %w", startLimit, err)
		case <-tick.C:
		}
	}
}

// stop ends the process by SIGTERM, and by SIGKILL if that takes too long. It is an error only that
// the process has not lasted until now.
func (p *process) stop() error {
	if p.ended.Err() != nil {
		return fmt.Errorf("versity: versitygw ended during the test: %v", p.cmd.ProcessState)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended.Done():
		return nil
	case <-time.After(stopLimit):
		return p.kill()
	}
}

// kill ends the process by SIGKILL and waits for it.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended.Done()
	return nil
}
