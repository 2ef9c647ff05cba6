package node

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a node leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
