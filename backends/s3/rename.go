package s3

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-ftp/sluice/backends"
)

// Rename implements backends.CloudStorageAdapter. An object is copied and then removed. For a folder
// an intent is written first, which another process carries out to its end if this one dies: readers
// see the old tree, or both, or the new one, and never neither.
func (a *Adapter) Rename(ctx context.Context, from, to string, o backends.RenameOptions) error {
	return translate("rename", from, a.rename(ctx, from, to, o))
}

func (a *Adapter) rename(ctx context.Context, from, to string, o backends.RenameOptions) error {
	if err := a.begin(ctx, from, to); err != nil {
		return err
	}
	switch {
	case o.IfAbsent && !a.Capabilities().IfAbsent:
		return fault(backends.Unsupported, nil)
	case from == "":
		return fault(backends.Permission, errRoot)
	case to == "":
		return fault(backends.Exist, errRoot)
	}
	src, err := a.stat(ctx, from)
	if err != nil {
		return err
	}
	if src.Dir && (to == from || strings.HasPrefix(to, from+"/")) {
		return fault(backends.InvalidName, nil)
	}
	dst, err := a.stat(ctx, to)
	switch {
	case err != nil && !missing(err):
		return err
	case err == nil && (dst.Dir || src.Dir || o.IfAbsent):
		return fault(backends.Exist, nil)
	case src.Dir:
		return a.renameFolder(ctx, from, to)
	case from == to:
		return nil
	}
	return a.renameObject(ctx, from, to, o.IfAbsent)
}

func (a *Adapter) renameObject(ctx context.Context, from, to string, ifAbsent bool) error {
	head, err := a.head(ctx, from)
	if err != nil {
		return err
	}
	if _, err := a.copyObject(ctx, object(from, head), head, to, ifAbsent); err != nil {
		return err
	}
	// Both are there: to end with one of them is all that is left to do, also for who has gone.
	ctx = background(ctx)
	if err := a.delete(ctx, a.full(from)); err != nil {
		return err
	}
	return a.keepParent(ctx, from)
}

// intent is the record of a folder on its way to another name.
type intent struct {
	// From and To are folders in the bucket, with their slash.
	From string `json:"from"`
	To   string `json:"to"`
	// Copied: everything is at To, and what is left at From can go.
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
	in := &intent{From: a.folder(from), To: a.folder(to)}
	name := a.intentName(to)
	if err := a.announce(ctx, name, in); err != nil {
		return err
	}
	// Someone may have been first, and have finished since we looked.
	if f := a.folderAt(ctx, to); f.err != nil || f.exists {
		return firstOf(a.delete(background(ctx), name), firstOf(f.err, fault(backends.Exist, nil)))
	}
	if err := a.carryOut(background(ctx), name, in); err != nil {
		return err
	}
	return a.keepParent(ctx, from)
}

// mayRename refuses a folder with too much in it, and names that would become too long.
func (a *Adapter) mayRename(ctx context.Context, from, to string) error {
	longer := len(to) - len(from)
	n := 0
	return a.each(ctx, a.folder(from), func(keys []string) error {
		if n += len(keys); n > a.MaxRenameObjects {
			return fault(backends.Permission, fmt.Errorf("%w (%d)", errTooMany, a.MaxRenameObjects))
		}
		for _, key := range keys {
			if len(key)+longer > backends.MaxKey {
				return fault(backends.InvalidName, errTooLong)
			}
		}
		return nil
	})
}

// announce writes the intent, unless there is one for the same target.
func (a *Adapter) announce(ctx context.Context, name string, in *intent) error {
	in.Nonce = rand.Text()
	content, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("s3: intent: %w", err)
	}
	if !a.Profile.ConditionalPut {
		return a.writePrivate(ctx, name, content)
	}
	return a.publishPrivate(ctx, name, in.Nonce, content)
}

// carryOut does what an intent says from wherever it was left, and ends it.
func (a *Adapter) carryOut(ctx context.Context, name string, in *intent) error {
	if !in.Copied {
		if err := a.copyTree(ctx, in, name); err != nil {
			return err
		}
		in.Copied = true
		if err := a.rewrite(ctx, name, in); err != nil {
			return err
		}
	}
	if err := a.each(ctx, in.From, func(keys []string) error { return a.deleteAll(ctx, keys) }); err != nil {
		return err
	}
	return a.delete(ctx, name)
}

func (a *Adapter) rewrite(ctx context.Context, name string, in *intent) error {
	in.Nonce = rand.Text()
	content, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("s3: intent: %w", err)
	}
	return a.writePrivate(ctx, name, content)
}

// copyTree copies all below From to To, and keeps the intent young meanwhile.
func (a *Adapter) copyTree(ctx context.Context, in *intent, name string) error {
	stop := a.keepYoung(ctx, in, name)
	defer stop()
	return a.each(ctx, in.From, func(keys []string) error {
		return parallel(ctx, keys, func(ctx context.Context, key string) error { return a.copyKey(ctx, key, in) })
	})
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

// copyKey copies one of them. One that has gone was removed by someone, who is right.
func (a *Adapter) copyKey(ctx context.Context, full string, in *intent) error {
	to := in.To + strings.TrimPrefix(full, in.From)
	from, target := strings.TrimPrefix(full, a.Prefix), strings.TrimPrefix(to, a.Prefix)
	head, err := a.head(ctx, from)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if dir, ok := strings.CutSuffix(target, "/"); ok && aws.ToInt64(head.ContentLength) == 0 {
		return a.keep(ctx, dir) // some servers do not copy placeholders
	}
	_, err = a.copyObject(ctx, object(from, head), head, target, false)
	return err
}

// each calls do with the names in the bucket that begin with prefix, a page at a time.
func (a *Adapter) each(ctx context.Context, prefix string, do func(keys []string) error) error {
	for token := ""; ; {
		page, err := a.keys(ctx, prefix, token, pageSize)
		if err != nil {
			return err
		}
		keys := make([]string, 0, len(page.Contents))
		for _, o := range page.Contents {
			keys = append(keys, unescape(page, o.Key))
		}
		if err := do(keys); err != nil {
			return err
		}
		if !aws.ToBool(page.IsTruncated) {
			return nil
		}
		token = aws.ToString(page.NextContinuationToken)
	}
}

// deleteAll removes up to a thousand objects by one request, which has to have a checksum.
func (a *Adapter) deleteAll(ctx context.Context, keys []string) error {
	switch {
	case len(keys) == 0:
		return nil
	case !a.Profile.Checksums:
		return parallel(ctx, keys, a.delete)
	}
	in := &s3.DeleteObjectsInput{
		Bucket: &a.Bucket, RequestPayer: a.payer(), Delete: &types.Delete{Quiet: aws.Bool(true)},
	}
	for _, key := range keys {
		in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: &key})
	}
	return retry(ctx, asking, func(ctx context.Context) error {
		out, err := a.client.DeleteObjects(ctx, in)
		if err == nil && len(out.Errors) > 0 {
			e := out.Errors[0]
			err = fmt.Errorf("s3: delete %q: %s: %s", aws.ToString(e.Key), aws.ToString(e.Code), aws.ToString(e.Message))
		}
		return err
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
	return a.carryOut(ctx, name, &in)
}

// ours: a folder in the bucket that a client may have named.
func (a *Adapter) ours(folder string) bool {
	key, inside := strings.CutPrefix(folder, a.Prefix)
	key, isFolder := strings.CutSuffix(key, "/")
	return inside && isFolder && key != "" && backends.CheckKey(key) == nil
}
