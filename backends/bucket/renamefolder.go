package bucket

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-ftp/sluice/backends"
)

// intent is the record of a folder on its way to another name.
type intent struct {
	// From and To are folders in the bucket, with their slash.
	From string `json:"from"`
	To   string `json:"to"`
	// ID tells the copies of one rename from every other object.
	ID string `json:"id"`
	// Copied: everything is at To, and what is left of it at From can go.
	Copied bool `json:"copied"`
	// Nonce makes every writing of the intent different.
	Nonce string `json:"nonce"`
}

// intentName is one for each target, so that two folders cannot become one.
func (a *Adapter) intentName(to string) string {
	sum := sha256.Sum256([]byte(a.folder(to)))
	return a.private("renames/" + hex.EncodeToString(sum[:]))
}

func (a *Adapter) renameFolder(ctx context.Context, from, to string) error {
	if err := a.mayRename(ctx, from, to); err != nil {
		return err
	}
	in := &intent{From: a.folder(from), To: a.folder(to), ID: rand.Text()}
	name := a.intentName(to)
	if err := a.announce(ctx, name, in); err != nil {
		return err
	}
	// Someone may have been first, and have finished since we looked.
	if f := a.folderAt(ctx, Asking, to); f.err != nil || f.exists {
		return firstOf(a.delete(background(ctx), name), firstOf(f.err, Fault(backends.Exist, nil)))
	}
	return a.leave(ctx, a.folder(from), func(ctx context.Context) error {
		return a.carryOut(background(ctx), name, in)
	})
}

// mayRename refuses a folder with too much in it, and names that would become too long.
func (a *Adapter) mayRename(ctx context.Context, from, to string) error {
	longer := len(to) - len(from)
	n := 0
	return a.each(ctx, a.folder(from), func(keys []string) error {
		if n += len(keys); n > a.MaxRenameObjects {
			return Fault(backends.Permission, fmt.Errorf("%w (%d)", errTooMany, a.MaxRenameObjects))
		}
		for _, key := range keys {
			if len(key)+longer > backends.MaxKey {
				return Fault(backends.InvalidName, errTooLong)
			}
		}
		return nil
	})
}

// encode is the intent as it is written next.
func (in *intent) encode() ([]byte, error) {
	in.Nonce = rand.Text()
	content, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("intent: %w", err)
	}
	return content, nil
}

// announce writes the intent, unless there is one for the same target.
func (a *Adapter) announce(ctx context.Context, name string, in *intent) error {
	if !a.store.Traits().Conditional {
		return a.rewrite(ctx, name, in)
	}
	content, err := in.encode()
	if err != nil {
		return err
	}
	return a.publishPrivate(ctx, name, in.Nonce, content)
}

// carryOut does what an intent says from wherever it was left, and ends it. People may have gone on with
// both folders meanwhile: nothing is replaced at To, and only what is there as its copy goes from From.
func (a *Adapter) carryOut(ctx context.Context, name string, in *intent) error {
	stop := a.keepYoung(ctx, in, name)
	m := &move{adapter: a, intent: in, copied: map[string]string{}}
	err := a.each(ctx, in.From, func(keys []string) error { return parallel(ctx, keys, m.copy) })
	stop()
	if err != nil && !in.Copied && !a.temporary(err) {
		// It can never be done: one of them is archived, or not ours to read.
		return firstOf(m.undo(ctx, name), err)
	}
	if err == nil && !in.Copied {
		in.Copied = true
		err = a.rewrite(ctx, name, in)
	}
	if err == nil {
		err = parallel(ctx, slices.Collect(maps.Keys(m.copied)), m.remove)
	}
	if err == nil {
		err = a.delete(ctx, name)
	}
	if err == nil && m.occupied {
		err = Fault(backends.Conflict, errOccupied)
	}
	return err
}

// move is one carrying out of an intent.
type move struct {
	adapter *Adapter
	*intent

	mu sync.Mutex
	// copied are the versions that are at To, by their names in the bucket at From.
	copied map[string]string
	// occupied: something else has the name of one of them at To.
	occupied bool
}

// token is that of the copy of one version.
func (m *move) token(info *Info) string {
	sum := sha256.Sum256([]byte(m.ID + "\n" + info.Name + "\n" + info.Version))
	return hex.EncodeToString(sum[:16])
}

// copy copies one object and notes it, if it is not there already. One that has gone was removed by
// someone, who is right.
func (m *move) copy(ctx context.Context, full string) error {
	a := m.adapter
	info, err := a.head(ctx, full)
	if a.missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	there, err := m.copyVersion(ctx, info)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil:
		return err
	case there:
		m.copied[full] = info.Version
	default:
		m.occupied = true
	}
	return nil
}

// copyVersion says whether the version that head describes is at To.
func (m *move) copyVersion(ctx context.Context, info *Info) (bool, error) {
	a := m.adapter
	to := m.To + strings.TrimPrefix(info.Name, m.From)
	if dir, ok := strings.CutSuffix(strings.TrimPrefix(to, a.Prefix), "/"); ok && info.Size == 0 {
		return true, a.keep(ctx, dir) // some servers do not copy placeholders
	}
	token := m.token(info)
	present, err := a.head(ctx, to)
	switch {
	case err == nil:
		return present.Metadata[MetaToken] == token, nil
	case !a.missing(err) || m.Copied:
		return false, a.ignoreMissing(err)
	}
	_, err = a.copyAs(ctx, info, to, a.store.Traits().CopyIfAbsent, token)
	if a.kind(err) == backends.Exist {
		return false, nil
	}
	return err == nil, err
}

// undo takes back what was copied, and the intent.
func (m *move) undo(ctx context.Context, name string) error {
	err := m.adapter.each(ctx, m.From, func(keys []string) error { return parallel(ctx, keys, m.takeBack) })
	if err != nil {
		return err
	}
	return m.adapter.delete(ctx, name)
}

// takeBack removes the copy of one object, if there is one and it is that still.
func (m *move) takeBack(ctx context.Context, full string) error {
	a := m.adapter
	source, err := a.head(ctx, full)
	if err != nil {
		return a.ignoreMissing(err)
	}
	copied, err := a.head(ctx, m.To+strings.TrimPrefix(full, m.From))
	if err != nil {
		return a.ignoreMissing(err)
	}
	placeholder := strings.HasSuffix(copied.Name, "/") && copied.Size == 0
	if !placeholder && copied.Metadata[MetaToken] != m.token(source) {
		return nil // someone else's
	}
	return a.deleteVersion(ctx, copied.Name, copied.Version)
}

// remove removes what was copied, if it is still that.
func (m *move) remove(ctx context.Context, full string) error {
	return m.adapter.deleteVersion(ctx, full, m.copied[full])
}

// rewrite writes the intent as it is now.
func (a *Adapter) rewrite(ctx context.Context, name string, in *intent) error {
	content, err := in.encode()
	if err != nil {
		return err
	}
	return a.writePrivate(ctx, Asking, name, content)
}

// renameStale is the age at which an intent is taken for that of a killed process: less than for an
// upload, because a folder at two places is in the way of people.
const renameStale = time.Hour

func (a *Adapter) renameAfter() time.Duration { return min(a.StaleAfter, renameStale) }

// keepYoung writes an intent again now and then, so that nobody else carries it out, until the
// function that it returns is called.
func (a *Adapter) keepYoung(ctx context.Context, in *intent, name string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(a.renameAfter() / 4)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := a.rewrite(ctx, name, in); err != nil && ctx.Err() == nil {
				a.Log.Warn("the intent of a rename was not renewed", "to", in.To, "err", err)
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// parallel calls do for each key, some at once, until one fails.
func parallel(ctx context.Context, keys []string, do func(ctx context.Context, key string) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(copiers)
	for _, key := range keys {
		g.Go(func() error { return do(ctx, key) })
	}
	return g.Wait()
}

// each calls do with the names in the bucket that begin with prefix, a page at a time.
func (a *Adapter) each(ctx context.Context, prefix string, do func(keys []string) error) error {
	return a.EachPage(ctx, prefix, func(page *Page) error {
		keys := make([]string, 0, len(page.Objects))
		for _, o := range page.Objects {
			keys = append(keys, o.Key)
		}
		return do(keys)
	})
}

// sweepRename finishes a rename whose process has gone.
func (a *Adapter) sweepRename(ctx context.Context, name string, _ time.Time) error {
	var in intent
	if err := a.readPrivate(ctx, name, &in); err != nil {
		return err
	}
	if !a.ours(in.From) || !a.ours(in.To) || strings.HasPrefix(in.To, in.From) {
		return nil // not written by us
	}
	a.Log.Info("finishing the rename of a folder that a killed process began", "from", in.From, "to", in.To)
	err := a.carryOut(ctx, name, &in)
	if backends.KindOf(err) == backends.Conflict {
		a.Log.Warn("the rename is done, but for what others have stored meanwhile", "from", in.From, "to", in.To)
		err = nil
	}
	return err
}

// ours: a folder in the bucket that a client may have named.
func (a *Adapter) ours(folder string) bool {
	key, inside := strings.CutPrefix(folder, a.Prefix)
	key, isFolder := strings.CutSuffix(key, "/")
	return inside && isFolder && key != "" && backends.CheckKey(key) == nil
}
