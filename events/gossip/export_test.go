package gossip

import (
	"context"
	"time"
)

// Round compares with one other replica now and reports whether that went well.
func (x *Exchange) Round(ctx context.Context) bool { return x.round(ctx, 0) == 0 }

// Within bounds a round.
func (x *Exchange) Within(d time.Duration) { x.within = d }
