package stream

import "time"

// SetLeftoverAge lets a test not wait for ten minutes.
func (a *Archive) SetLeftoverAge(d time.Duration) { a.leftover = d }
