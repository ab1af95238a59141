package storefake

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	f := NewFront(func(r *Request) *Request { return r }, func(f Fault) Fault { return f }, 0, 0)
	for range 3*maxLog + 5 {
		f.note(&Request{Op: "GetObject"})
	}
	all := f.Requests()
	if len(all) != maxLog || len(f.log) > 2*maxLog || all[maxLog-1].Index != 3*maxLog+5 || f.Count("GetObject") != 3*maxLog+5 {
		t.Errorf("%d remembered, %d counted", len(all), f.Count("GetObject"))
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	var k Keys
	set := map[string]bool{}
	for range 20000 {
		key := strconv.Itoa(rand.IntN(5000))
		if rand.IntN(3) == 0 {
			k.Remove(key)
			delete(set, key)
		} else {
			k.Add(key)
			set[key] = true
		}
	}
	var want []string
	for key := range set {
		want = append(want, key)
	}
	slices.Sort(want)
	if !slices.Equal(k.All(), want) {
		t.Fatal("keys differ")
	}
	for range 1000 {
		at := strconv.Itoa(rand.IntN(6000))
		i, _ := slices.BinarySearch(want, at)
		got, ok := k.Ceil(at)
		if ok != (i < len(want)) || ok && got != want[i] {
			t.Fatalf("ceil of %s is %q", at, got)
		}
	}
	for _, run := range k.runs {
		if len(run) == 0 || len(run) > maxRun {
			t.Fatalf("a run of %d", len(run))
		}
	}
}

func TestAfterAll(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"a/": "a0", "a\xff": "b", "\xff": "", "": ""} {
		if got, ok := AfterAll(prefix); got != want || ok != (want != "") {
			t.Errorf("after all of %q: %q", prefix, got)
		}
	}
}

func TestJoinCRC(t *testing.T) {
	t.Parallel()
	data := make([]byte, 100<<10)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	for _, poly := range []uint32{crc32.IEEE, crc32.Castagnoli} {
		table := crc32.MakeTable(poly)
		for range 200 {
			cut := rand.IntN(len(data) + 1)
			got := JoinCRC(poly, crc32.Checksum(data[:cut], table), crc32.Checksum(data[cut:], table), int64(len(data)-cut))
			if want := crc32.Checksum(data, table); got != want {
				t.Fatalf("cut at %d: %08x, want %08x", cut, got, want)
			}
		}
		if got := JoinCRC(poly, 7, 0, 0); got != 7 {
			t.Errorf("with nothing: %08x", got)
		}
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, page - 1, page, page + 1, 3*page + 7, 16<<20 + 5} {
		data := bytes.Repeat([]byte("0123456789a"), size/11+1)[:size]
		for _, length := range []int64{int64(size), -1} {
			for _, discard := range []bool{false, true} {
				crc := crc32.NewIEEE()
				got, n, err := Take(iotest.OneByteReader(bytes.NewReader(data[:min(size, 100)])), min(length, 100), discard)
				if err != nil || n != int64(min(size, 100)) || !discard && len(got) != min(size, 100) {
					t.Errorf("%d bytes one by one: %d, %v", size, n, err)
				}
				got, n, err = Take(bytes.NewReader(data), length, discard, crc)
				if err != nil || n != int64(size) || crc.Sum32() != crc32.ChecksumIEEE(data) || !discard && !bytes.Equal(got, data) || discard && got != nil {
					t.Errorf("%d of %d, discard %v: %d bytes, %v", size, length, discard, n, err)
				}
			}
		}
		_, n, err := Take(bytes.NewReader(data), int64(size)+1, false)
		if !errors.Is(err, io.ErrUnexpectedEOF) || n != int64(size) {
			t.Errorf("a byte short of %d: %d, %v", size+1, n, err)
		}
	}
	if _, _, err := Take(iotest.ErrReader(io.ErrUnexpectedEOF), -1, false); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken body of no known length: %v", err)
	}
	if got, n, err := Take(strings.NewReader("more than that"), 4, false); string(got) != "more" || n != 4 || err != nil {
		t.Errorf("%q, %d, %v", got, n, err)
	}
}
