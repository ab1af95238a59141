package audit

// OpenWith is Open with another way to write.
var OpenWith = open

// Line returns e as it is written.
func Line(e Event) []byte { return newEncoder().encode(&e) }
