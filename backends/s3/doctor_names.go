package s3

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// oddNames are what partners call their files, and what XML has no way to write.
var oddNames = []string{"a b", "a+b", "a%2Bb", "a&<b>", "ünï 日本 🙂", "control \x01"}

// names stores odd names, as files and as folders, and lists them.
func (d *doctor) names(ctx context.Context, dir string) (answer, error) {
	var files, folders []string
	var found answer
	for _, name := range oddNames {
		key := dir + "files/" + name
		if _, err := d.put(ctx, key, "", nil); refusal(err) {
			found = answer{
				outcome: bucket.OutcomeWarning, found: strconv.Quote(name) + ": " + brief(err),
				todo: "files with such names cannot be stored here",
			}
			continue
		} else if err != nil {
			return answer{}, err
		}
		files = append(files, key)
		if _, err := d.put(ctx, dir+"folders/"+name+"/x", "", nil); err != nil {
			return answer{}, err
		}
		folders = append(folders, dir+"folders/"+name+"/")
	}
	gotFiles, _, err := d.listed(ctx, dir+"files/", "")
	if err != nil {
		return answer{}, err
	}
	_, gotFolders, err := d.listed(ctx, dir+"folders/", "/")
	if err != nil {
		return answer{}, err
	}
	for _, want := range slices.Concat(files, folders) {
		if !slices.Contains(gotFiles, want) && !slices.Contains(gotFolders, want) {
			return answer{
				outcome: bucket.OutcomeWarning, found: strconv.QuoteToASCII(want[len(dir):]) + " is listed wrongly",
				todo: "partners will not find files with such names; other names are right",
			}, nil
		}
	}
	return found, nil
}

// listed returns keys and common prefixes.
func (d *doctor) listed(ctx context.Context, prefix, delimiter string) (keys, prefixes []string, err error) {
	page, err := d.page(ctx, bucket.Query{Prefix: prefix, Delimiter: delimiter, Most: 1000})
	if err != nil {
		return nil, nil, err
	}
	for _, o := range page.Objects {
		keys = append(keys, o.Key)
	}
	return keys, page.Folders, nil
}

// folderBesideFile: in a bucket a and a/b may both be; not where folders are those of a disk.
func (d *doctor) folderBesideFile(ctx context.Context, dir string) (answer, error) {
	want := []string{dir + "a", dir + "a/b"}
	for _, key := range want {
		_, err := d.put(ctx, key, sample, nil)
		if refusal(err) {
			return answer{
				outcome: bucket.OutcomeWarning, found: brief(err),
				todo: "a file and a folder of the same name exclude each other in this store; there is nothing to do",
			}, nil
		}
		if err != nil {
			return answer{}, err
		}
	}
	got, _, err := d.listed(ctx, dir, "")
	if err == nil && !slices.Equal(want, got) {
		return answer{
			outcome: bucket.OutcomeWarning, found: "what is in a folder beside a file of its name is not listed",
			todo: "keep partners from giving a file and a folder the same name",
		}, nil
	}
	return answer{}, err
}

// fewestDays is how old an upload has to be before a rule may abort it: StaleAfter, and as much again.
const fewestDays = 2

// lifecycleRule looks for a rule that aborts uploads which nobody ends. It is a backstop for where
// the gateway itself does not run any more.
func (d *doctor) lifecycleRule(ctx context.Context, _ string) (answer, error) {
	var out *s3.GetBucketLifecycleConfigurationOutput
	err := bucket.Once(ctx, bucket.Asking.Attempt, func(ctx context.Context) (err error) {
		out, err = d.s.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &d.s.Bucket})
		return err
	})
	const set = "set the one of docs/backends.md, as a backstop: what a gateway leaves behind that never runs again costs money"
	warn := func(found, todo string) (answer, error) {
		return answer{outcome: bucket.OutcomeWarning, found: found, todo: todo}, nil
	}
	kind, _ := classify(err)
	switch {
	case code(err) == "NoSuchLifecycleConfiguration":
		// Servers that know no rules for uploads may say this, too.
		return warn("there is none that aborts stale uploads", set)
	case kind == backends.Permission && err != nil:
		return warn("unknown: "+brief(err), d.missingRight(err)+", for this question only")
	case refusal(err):
		return answer{
			outcome: bucket.OutcomeWarning, found: "this store has none: " + brief(err), can: no,
			todo: "let the gateway run: it aborts its own stale uploads every hour",
		}, nil
	case err != nil:
		return answer{}, err
	}
	whole, part := d.fewest(out.Rules)
	switch shortest := min(whole, part); {
	case shortest < fewestDays:
		return answer{
			outcome: bucket.OutcomeWarning, found: "one aborts uploads after " + days(shortest), can: yes,
			todo: "let it be 2 days at least: it may end uploads that are on their way",
		}, nil
	case whole == never:
		return warn("there is none that aborts stale uploads below all of the prefix", set)
	}
	return answer{can: yes, found: "aborts uploads after " + days(whole)}, nil
}

// never is more days than any rule has.
const never = int32(1 << 30)

// fewest returns after how many days an upload is aborted by rules for all our keys, and by those for
// some of them.
func (d *doctor) fewest(rules []types.LifecycleRule) (whole, part int32) {
	whole, part = never, never
	for _, r := range rules {
		if r.Status != types.ExpirationStatusEnabled || r.AbortIncompleteMultipartUpload == nil {
			continue
		}
		n := aws.ToInt32(r.AbortIncompleteMultipartUpload.DaysAfterInitiation)
		switch prefix := rulePrefix(r); {
		case strings.HasPrefix(d.s.Prefix, prefix):
			whole = min(whole, n)
		case strings.HasPrefix(prefix, d.s.Prefix):
			part = min(part, n)
		}
	}
	return whole, part
}

// rulePrefix is what the keys begin with that a rule is for. One that looks at tags or sizes as well
// cannot abort uploads, so nothing else is to be looked at.
func rulePrefix(r types.LifecycleRule) string {
	switch f := r.Filter; {
	case f == nil:
		return aws.ToString(r.Prefix) //nolint:staticcheck // servers that are old have nothing else
	case f.And != nil:
		return aws.ToString(f.And.Prefix)
	default:
		return aws.ToString(f.Prefix)
	}
}

func days(n int32) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}
