package limits_test

import (
	"math/rand/v2"
	"testing"

	"github.com/sluice-ftp/sluice/limits"
)

// model is what a user has stored and uploads, one by one.
type model struct {
	objects map[*object]bool
	uploads []*upload
}

type object struct{ size int64 }

type upload struct {
	r        *limits.Reservation
	replaces *object
	reserved int64
}

func (m *model) stored() (bytes, files int64) {
	for o := range m.objects {
		bytes += o.size
	}
	return bytes, int64(len(m.objects))
}

func (m *model) reserved() (bytes, files int64) {
	for _, p := range m.uploads {
		bytes += p.reserved
		if p.replaces == nil {
			files++
		}
	}
	return bytes, files
}

// idle returns an object that no upload is about to replace, or nil.
func (m *model) idle() *object {
	busy := map[*object]bool{}
	for _, p := range m.uploads {
		busy[p.replaces] = true
	}
	for o := range m.objects {
		if !busy[o] {
			return o
		}
	}
	return nil
}

func (m *model) end(p *upload, size int64) {
	delete(m.objects, p.replaces)
	m.objects[&object{size}] = true
}

// Whatever happens in whatever order, usage is the sum of what is stored, and a reservation is
// granted exactly if it fits.
func TestQuotaRandomly(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	u := limits.NewQuotas().User("ann")
	m := model{objects: map[*object]bool{}}
	most := limits.Max{Bytes: 1000, Files: 10}
	for step := range 20_000 {
		bytes, files := m.stored()
		if b, f := u.Get(); b != bytes || f != files {
			t.Fatalf("seed %d, step %d: %d bytes in %d files, want %d in %d", seed, step, b, f, bytes, files)
		}
		comingBytes, comingFiles := m.reserved()
		n, o := random.Int64N(100), m.idle()
		switch op := random.IntN(10); {
		case op == 0 && o != nil:
			remove(u, o.size)
			delete(m.objects, o)
		case op == 1 && o != nil:
			m.uploads = append(m.uploads, &upload{r: begin(t, u, most, o.size), replaces: o})
		case op <= 3:
			r, err := u.Touch(fresh()).Begin(most, -1)
			if (err == nil) != (files+comingFiles < most.Files) {
				t.Fatalf("seed %d, step %d: %v with %d files and %d to come", seed, step, err, files, comingFiles)
			}
			if err == nil {
				m.uploads = append(m.uploads, &upload{r: r})
			}
		case len(m.uploads) == 0:
		case op <= 7:
			p := m.uploads[random.IntN(len(m.uploads))]
			err := p.r.Grow(n)
			if (err == nil) != (n == 0 || bytes+comingBytes+n <= most.Bytes) {
				t.Fatalf("seed %d, step %d: %v for %d, with %d and %d", seed, step, err, n, bytes, comingBytes)
			}
			if err == nil {
				p.reserved += n
			}
		default:
			p := m.uploads[0]
			m.uploads = m.uploads[1:]
			if op == 8 {
				p.r.Cancel()
				continue
			}
			p.r.Commit(p.reserved)
			m.end(p, p.reserved)
		}
	}
}
