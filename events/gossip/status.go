package gossip

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice/events"
)

const (
	// maxStatus bounds what is read and written: 64 KiB.
	maxStatus = 64 << 10
	// shortReason and shortText are what stays, in bytes, of the reason of a quarantine and of
	// any other text in a status that would be too long.
	shortReason = 120
	shortText   = 4 << 10
)

// encode writes a status, less and less of it until it is short enough: a replica with many
// refused services must not fall silent. What is left out is said.
func encode(s events.Status) ([]byte, error) {
	data, err := toJSON(s)
	for _, shorten := range []func(*events.Status){shortReasons, dropWaiting, shortTexts, dropReasons, dropOlder} {
		if err != nil || len(data) <= maxStatus {
			return data, err
		}
		shorten(&s)
		data, err = toJSON(s)
	}
	if err == nil && len(data) > maxStatus {
		return nil, fmt.Errorf("encode status: %d bytes, at most %d are sent", len(data), maxStatus)
	}
	return data, err
}

func toJSON(s events.Status) ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	return data, nil
}

func shortReasons(s *events.Status) { cutReasons(s, shortReason) }
func dropReasons(s *events.Status)  { cutReasons(s, 0) }

func cutReasons(s *events.Status, most int) {
	s.Quarantine = slices.Clone(s.Quarantine) // the caller's stays what it is
	for i := range s.Quarantine {
		s.Quarantine[i].Reason = cut(s.Quarantine[i].Reason, most)
	}
}

// dropWaiting leaves out which services are behind, and so what is live but for them: others
// wait for the whole position then.
func dropWaiting(s *events.Status) { s.Reached, s.Behind = s.Live, nil }

func shortTexts(s *events.Status) {
	s.Problem, s.Stale, s.Notes = cut(s.Problem, shortText), cut(s.Stale, shortText), nil
}

// dropOlder keeps the newest refused versions, those that somebody may still wait for.
func dropOlder(s *events.Status) {
	all := slices.SortedFunc(slices.Values(s.Quarantine), func(a, b events.Quarantined) int { return cmp.Compare(b.Version, a.Version) })
	problem := s.Problem
	tell := func(n int) {
		left := fmt.Sprintf("%d more services are quarantined than a heartbeat can tell: ask this replica itself", len(all)-n)
		s.Quarantine, s.Problem = all[:n], strings.TrimPrefix(problem+"; "+left, "; ")
	}
	tell(0)
	data, err := toJSON(*s)
	size, n := len(data), 0
	for ; err == nil && n < len(all); n++ {
		one, failed := json.Marshal(all[n])
		if size += len(one) + 1; size > maxStatus || failed != nil {
			break
		}
	}
	tell(n)
	slices.SortFunc(s.Quarantine, func(a, b events.Quarantined) int { return cmp.Compare(a.Service, b.Service) })
}

// cut shortens a text to at most so many bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

var errNotStatus = errors.New("not a status")

func decode(data []byte) (events.Status, error) {
	if len(data) > maxStatus {
		return events.Status{}, fmt.Errorf("%w: %d bytes", errNotStatus, len(data))
	}
	var s events.Status
	if err := json.Unmarshal(data, &s); err != nil {
		return events.Status{}, fmt.Errorf("%w: %w", errNotStatus, err)
	}
	if s.Node == "" {
		return events.Status{}, fmt.Errorf("%w: it names no node", errNotStatus)
	}
	return s, nil
}
