package backends_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var at []time.Duration
		backends.Every(ctx, time.Hour, func(context.Context) {
			if at = append(at, time.Since(start)); len(at) == 3 {
				cancel()
			}
		})
		if at[0] >= time.Hour || at[1]-at[0] != time.Hour || at[2]-at[1] != time.Hour {
			t.Errorf("called after %v, want within the hour and then every hour", at)
		}
	})
}
