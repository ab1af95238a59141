package gcsfake

import "strconv"

// condition is what has to hold for an operation. Whatever is not there has generation and
// metageneration 0.
type condition struct{ match, notMatch, metaMatch, metaNotMatch *int64 }

// condition reads the four preconditions of which the names begin with prefix, "if" or "ifSource".
func (c *call) condition(prefix string) (condition, error) {
	return readCondition(func(name string) (string, string) { return prefix + name, c.Query.Get(prefix + name) })
}

// headerCondition is condition for the XML API, which has only half of them.
func (c *call) headerCondition() (condition, error) {
	names := map[string]string{"GenerationMatch": "X-Goog-If-Generation-Match", "MetagenerationMatch": "X-Goog-If-Metageneration-Match"}
	return readCondition(func(name string) (string, string) { return names[name], c.Header.Get(names[name]) })
}

func readCondition(get func(string) (name, value string)) (condition, error) {
	var k condition
	for part, into := range map[string]**int64{
		"GenerationMatch": &k.match, "GenerationNotMatch": &k.notMatch,
		"MetagenerationMatch": &k.metaMatch, "MetagenerationNotMatch": &k.metaNotMatch,
	} {
		name, value := get(part)
		if value == "" {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return condition{}, invalid("Invalid value for: %s is not a valid value", value).at(name)
		}
		*into = &n
	}
	return k, nil
}

// check compares the condition with what is there; o may be nil.
func (k condition) check(o *object) error {
	if o == nil {
		return k.compare(0, 0)
	}
	return k.compare(o.generation, o.metageneration)
}

func (k condition) compare(generation, metageneration int64) error {
	switch {
	case k.match != nil && *k.match != generation, k.metaMatch != nil && *k.metaMatch != metageneration:
		return conditionNotMet()
	case k.notMatch != nil && *k.notMatch == generation, k.metaNotMatch != nil && *k.metaNotMatch == metageneration:
		return conditionNotMet().at("If-None-Match")
	}
	return nil
}

// compareRead is compare for an operation that only reads: that there is nothing new is no error.
func (k condition) compareRead(generation, metageneration int64) error {
	matches := condition{match: k.match, metaMatch: k.metaMatch}
	if err := matches.compare(generation, metageneration); err != nil {
		return err
	}
	if k.compare(generation, metageneration) != nil {
		return refuse("notModified", "Not Modified")
	}
	return nil
}

func conditionNotMet() *failure {
	return refuse("conditionNotMet", "At least one of the pre-conditions you specified did not hold.").at("If-Match")
}
