package proxy

import "context"

// expel quarantines what the model leaves out, until it leaves out nothing.
func (c *Controller) expel(ctx context.Context) {
	for refusals := c.model.Refusals(); len(refusals) > 0; refusals = c.model.Refusals() {
		gone := map[string]bool{}
		for _, r := range refusals {
			r = c.blamed(r)
			if gone[r.Service] || gone[r.Holder] {
				continue // it may be fine now
			}
			gone[r.Service] = true
			c.reject(ctx, r.Service, r.Error())
			if b := c.banned[r.Service]; b != nil {
				b.holder = r.Holder
			}
		}
	}
	c.announce()
}

// blamed is the refusal of the one that has to go: of two services that ask for the same, that
// is the one that was not live with it before.
func (c *Controller) blamed(r *Refusal) *Refusal {
	holder, serves := c.current[r.Holder]
	if !serves || c.novelty(holder) <= c.novelty(c.current[r.Service]) {
		return r
	}
	return &Refusal{
		Service: r.Holder, Holder: r.Service, Param: r.Param,
		Reason: "its port is already used by service " + r.Service + " with another serviceGroup",
	}
}
