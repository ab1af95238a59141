package metrics

import "time"

// Reloaded notes how the reading of what, one of a closed set, went.
func (m *Metrics) Reloaded(what string, err error) {
	if err != nil {
		m.reloads.WithLabelValues(what, "error").Inc()
		m.reloadOK.WithLabelValues(what).Set(0)
		return
	}
	m.reloads.WithLabelValues(what, "ok").Inc()
	m.Loaded(what)
}

// Loaded notes that what was read at the start.
func (m *Metrics) Loaded(what string) {
	m.reloadOK.WithLabelValues(what).Set(1)
	m.reloadedLast.WithLabelValues(what).Set(float64(time.Now().Unix()))
	for _, result := range []string{"ok", "error"} { // so that their rates begin at nothing
		m.reloads.WithLabelValues(what, result)
	}
}
