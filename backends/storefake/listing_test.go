package storefake

import (
	"slices"
	"testing"
)

// pages reads a listing to its end; what is rolled up ends with a star.
func pages(l Listing, names ...string) (all []string, sizes []int) {
	var k Keys
	for _, n := range names {
		k.Add(n)
	}
	for {
		entries, next := l.Page(k.Ceil)
		sizes = append(sizes, len(entries))
		for _, e := range entries {
			if e.Rolled {
				e.Name += "*"
			}
			all = append(all, e.Name)
		}
		if next == "" {
			return all, sizes
		}
		l.From, _ = DecodeToken(EncodeToken(next))
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b/", "b/1", "b/2/x", "c//d", "d"}
	for _, test := range []struct {
		l     Listing
		want  []string
		sizes []int
	}{
		{Listing{Max: 9}, names, []int{6}},
		{Listing{Max: 3}, names, []int{3, 3}},
		{Listing{Max: 0}, nil, []int{0}},
		{Listing{Max: 9, Prefix: "b"}, []string{"b/", "b/1", "b/2/x"}, []int{3}},
		{Listing{Max: 9, From: "b/1", End: "d"}, []string{"b/1", "b/2/x", "c//d"}, []int{3}},
		{Listing{Max: 2, Delimiter: "/"}, []string{"a", "b/*", "c/*", "d"}, []int{2, 2}},
		{Listing{Max: 9, Delimiter: "//"}, []string{"a", "b/", "b/1", "b/2/x", "c//*", "d"}, []int{6}},
		{Listing{Max: 9, Delimiter: "/", From: "b/2", End: "c/"}, []string{"b/*"}, []int{1}},
		{Listing{Max: 9, Delimiter: "/", Prefix: "b/"}, []string{"b/", "b/1", "b/2/*"}, []int{3}},
		{Listing{Max: 1, Delimiter: "/", Repeat: true}, []string{"a", "b/*", "b/*", "b/*", "c/*", "d"}, []int{1, 1, 1, 1, 1, 1}},
		{Listing{Max: 9, Delimiter: "/", Both: true}, []string{"a", "b/", "b/*", "c/*", "d"}, []int{5}},
		{Listing{Max: 2, Delimiter: "/", Both: true}, []string{"a", "b/", "b/*", "c/*", "d"}, []int{1, 2, 2}},
		{Listing{Max: 1, Delimiter: "/", Both: true}, []string{"a", "b/", "b/*", "c/*", "d"}, []int{1, 2, 1, 1}},
		{Listing{Max: 9, Delimiter: "\xff", Prefix: "\xff"}, nil, []int{0}},
	} {
		if got, sizes := pages(test.l, names...); !slices.Equal(got, test.want) || !slices.Equal(sizes, test.sizes) {
			t.Errorf("%+v: %q in pages of %d, want %q in %d", test.l, got, sizes, test.want, test.sizes)
		}
	}
	if got, _ := pages(Listing{Max: 1, Delimiter: "\xff"}, "\xff", "\xff\xff"); !slices.Equal(got, []string{"\xff*"}) {
		t.Errorf("what nothing can follow: %q", got)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "a", "AAAA", "AAAAAWE=", EncodeToken("a") + "A"} {
		if from, ok := DecodeToken(bad); ok {
			t.Errorf("%q is %q", bad, from)
		}
	}
}

func TestParseRange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		header string
		size   int64
		want   Span
		ok     bool
	}{
		{"bytes=2-4", 10, Span{2, 3, true}, true},
		{"bytes=8-99", 10, Span{8, 2, true}, true},
		{"bytes=-3", 10, Span{7, 3, true}, true},
		{"bytes=3-", 10, Span{3, 7, true}, true},
		{"bytes=4-2", 10, Span{0, 10, false}, true},
		{"", 10, Span{0, 10, false}, true},
		{"", 0, Span{0, 0, false}, true},
		{"bytes=10-", 10, Span{}, false},
		{"bytes=0-", 0, Span{}, false},
		{"bytes=-0", 10, Span{}, false},
	} {
		got, ok := ParseRange(test.header, test.size)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("%q of %d: %+v, %v", test.header, test.size, got, ok)
		}
	}
}
