// Command dockerfilelint prints what BuildKit itself thinks of a Dockerfile, as docker build --check does, for
// machines without Docker. It exits with 1 if there is anything.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/opencontainers/go-digest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dockerfilelint DOCKERFILE")
		os.Exit(2)
	}
	found, err := lint(context.Background(), os.Args[1])
	for _, warning := range found {
		fmt.Println(warning)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || len(found) > 0 {
		os.Exit(1)
	}
}

// lint returns the warnings. The base images are taken for what they are called, and not looked up.
func lint(ctx context.Context, file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	platform := platforms.MustParse("linux/amd64")
	source := llb.NewSourceMap(nil, file, "Dockerfile", text)
	source.Definition = &llb.Definition{} // which it would look into
	result, err := dockerfile2llb.DockerfileLint(ctx, text, dockerfile2llb.ConvertOpt{
		MetaResolver: anyImage{}, TargetPlatform: &platform, SourceMap: source,
	})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, w := range result.Warnings {
		found = append(found, w.RuleName+": "+w.Detail)
	}
	if result.Error != nil {
		return found, fmt.Errorf("%s: %w", file, result.Error)
	}
	return found, nil
}

// anyImage knows every image.
type anyImage struct{}

// ResolveImageConfig implements the resolver of base images.
func (anyImage) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, digest.FromString(ref), []byte(`{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/bin"]},"rootfs":{"type":"layers"}}`), nil
}
