package yamlfile

import "errors"

// List is a list of mappings below one key of a file's root, like the users of a users file. Its
// methods return the file's text with one entry changed. All else stays as it is, to the byte:
// comments, order, indentation, blank lines and line ends.
//
// They return Problems when the text is not YAML, has anchors, aliases, tags or a key twice, or when
// the place is written in a form that they cannot change. What they return has been read again: it
// means what it meant before, but for the change.
type List struct {
	// File is the file's name in problems.
	File string
	// Key is that of the list.
	Key string
	// ID is the key of an entry that tells it from the others.
	ID string
}

var (
	// ErrNoEntry says that no entry of the list has the ID that was asked for.
	ErrNoEntry = errors.New("yamlfile: no such entry")
	// ErrEntryExists says that an entry of the list has the ID already.
	ErrEntryExists = errors.New("yamlfile: the entry exists already")
)

// Set gives key of the entry of that id a value, a string or a bool. A key that the entry does not
// have comes behind the ID. Without the entry it returns ErrNoEntry.
func (l List) Set(data []byte, id, key string, value any) ([]byte, error) {
	d, e, err := l.entry(data, id)
	if err != nil {
		return nil, err
	}
	return d.finish(e.place(key), e.set(key, value), func(root map[string]any) {
		e.in(root)[key] = meaning(value)
	})
}

// Unset removes key from the entry of that id; a comment beside it stays. Without the key the text
// stays as it is, and without the entry it returns ErrNoEntry.
func (l List) Unset(data []byte, id, key string) ([]byte, error) {
	d, e, err := l.entry(data, id)
	if err != nil {
		return nil, err
	}
	i := e.index(key)
	if i < 0 {
		return data, nil
	}
	return d.finish(e.place(key), e.unset(i), func(root map[string]any) {
		delete(e.in(root), key)
	})
}

// Append adds an entry behind the last one. A list that is empty or missing, also in an empty file,
// becomes one of that entry. Where an entry has the same ID it returns ErrEntryExists.
func (l List) Append(data []byte, entry Fields) ([]byte, error) {
	d, err := l.draft(data)
	if err != nil {
		return nil, err
	}
	if len(d.find(entry.text(l.ID))) > 0 {
		return nil, ErrEntryExists
	}
	return d.finish(l.Key, d.append(entry), func(root map[string]any) {
		list, _ := root[l.Key].([]any)
		root[l.Key] = append(list, meaning(entry))
	})
}

// entry returns the one entry of that id.
func (l List) entry(data []byte, id string) (*draft, *entry, error) {
	d, err := l.draft(data)
	if err != nil {
		return nil, nil, err
	}
	found := d.find(id)
	switch len(found) {
	case 0:
		return nil, nil, ErrNoEntry
	case 1:
		return d, found[0], nil
	}
	second := found[1].place(l.ID)
	return nil, nil, Problems{d.doc.At(second, "the same as "+found[0].place(l.ID)+"; remove one")}
}
