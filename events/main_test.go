package events_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a Replica leaves a goroutine behind: every test stops its own.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
