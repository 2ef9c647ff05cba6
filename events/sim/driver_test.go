package sim_test

import "time"

// driver lets chance choose what happens.
type driver struct {
	*world
	s         scenario
	splitEnds int64 // 0: not split
	stepped   int
	table     []event
}

func (d *driver) prepare() {
	if d.s.r != 0 {
		d.params.R = time.Duration(d.s.r) * time.Millisecond
	}
	d.table = d.events()
	d.coarse = max(d.s.coarse, 1)
	d.oracle.healthy = d.s.leader <= 2000
	for _, n := range d.nodes {
		n.skew = d.within(2000)
	}
	if d.s.bad != 0 {
		d.nodes[0].skew = d.s.bad
	}
}

// within draws from -bound to bound.
func (d *driver) within(bound int64) int64 { return d.upTo(2*bound+1) - bound }

func (d *driver) any() *node { return d.nodes[d.rng.IntN(len(d.nodes))] }

func (d *driver) key() string { return keys[d.rng.IntN(d.keys)] }

// step lets a little time pass, one replica do its routine, and perhaps something happen.
func (d *driver) step() {
	d.stepped++
	d.pass(d.upTo(1600))
	n := d.any()
	if n.up() {
		d.routine(n)
	} else if d.percent(15) {
		d.restart(n)
	}
	if d.splitEnds != 0 && d.now >= d.splitEnds {
		d.join()
	}
	d.happen(d.rng.IntN(1000))
}

func (d *driver) routine(n *node) {
	n.connect()
	n.read(d.rng.IntN(12))
	n.seed()
	switch d.rng.IntN(5) {
	case 0:
		n.offer()
	case 1:
		n.exchange(d.any())
	case 2:
		if d.percent(d.s.audits) {
			n.audit()
		}
	}
}

// event is something that may happen at a step.
type event struct {
	weight int // per mille
	do     func()
}

func (d *driver) events() []event {
	return []event{
		{d.s.write, func() { d.any().write(d.key(), d.percent(30), d.percent(50)) }},
		{d.s.raw, func() { d.onLog(func(l *log) { d.raw(l, d.key()) }) }},
		{d.s.checkpoint, func() { d.any().wants = true }},
		{d.s.trim, func() { d.onLog(d.trim) }},
		{d.s.crash, func() { d.any().crash() }},
		{d.s.outage, d.toggleLog},
		{d.s.cut, func() { d.toggleCut(d.any()) }},
		{d.s.partition, func() { n := d.any(); n.group = 1 - n.group }},
		{d.s.tail, func() { d.onLog(d.lose) }},
		{d.s.recreate, func() { d.onLog(func(l *log) { d.recreate(l) }) }},
		{d.s.cold, d.restartAll},
		{d.s.split, d.separate},
		{d.s.pause, func() { d.pass(d.upTo(pauseMax)) }},
		{d.s.leaders, func() { d.leader = d.within(d.s.leader) }},
		{5, func() { d.onLog(d.tick) }},
	}
}

// happen picks by weight.
func (d *driver) happen(roll int) {
	for _, e := range d.table {
		if roll -= e.weight; roll < 0 {
			e.do()
			return
		}
	}
}

func (d *driver) onLog(do func(*log)) {
	if l := d.sides[d.rng.IntN(2)]; l.up {
		do(l)
	}
}

func (d *driver) restart(n *node) {
	if n.saved == nil && len(d.checkpoints) > 0 && d.percent(50) {
		k := d.checkpoints[d.rng.IntN(len(d.checkpoints))]
		n.saved = &k
		n.start()
		n.saved = nil
		return
	}
	n.start()
}

func (d *driver) toggleLog() {
	if d.s.never && d.stepped < 60 {
		return
	}
	l := d.sides[d.rng.IntN(2)]
	if d.s.never {
		l.up = false
		d.oracle.lost(l.kept(), died)
		l.messages = nil
	} else {
		l.up = !l.up
	}
	d.trace("log %s up: %v", l.id, l.up)
	if !l.up {
		for _, n := range d.nodes {
			if n.log == l {
				n.hangUp()
			}
		}
	}
}

func (d *driver) toggleCut(n *node) {
	n.cut = !n.cut
	d.trace("n%d cut from the log: %v", n.index, n.cut)
	if n.cut {
		n.hangUp()
	}
}

// lose loses a part of the tail that is younger than R/2.
func (d *driver) lose(l *log) {
	most := min(d.s.tailMax, int(l.last()-min(l.first, l.last())))
	n := 0
	for n < most && l.messages[len(l.messages)-1-n].Time.UnixMilli() > begin+d.now-d.params.R.Milliseconds()/2 {
		n++
	}
	if n > 0 {
		d.loseTail(l, 1+d.rng.IntN(n), func() bool { return d.percent(d.s.lives) })
	}
}

func (d *driver) restartAll() {
	for _, n := range d.nodes {
		n.crash()
	}
	for _, n := range d.nodes {
		d.restart(n)
	}
}

// separate gives each half of the cluster a fresh log of its own.
func (d *driver) separate() {
	if d.splitEnds != 0 {
		return
	}
	d.splitEnds = d.now + 1 + d.upTo(d.s.splitFor)
	a := d.recreate(d.sides[0])
	d.sides = [2]*log{a, d.newLog()}
	for i, n := range d.nodes {
		if n.part = i % 2; n.part == 1 {
			n.hangUp()
		}
	}
	d.trace("the cluster is split: %s and %s", d.sides[0].id, d.sides[1].id)
}

// join lets one of the two logs win.
func (d *driver) join() {
	win := d.rng.IntN(2)
	winner, loser := d.sides[win], d.sides[1-win]
	winner.up = true
	d.trace("the cluster is joined, %s wins", winner.id)
	d.splitEnds, d.sides = 0, [2]*log{winner, winner}
	for _, n := range d.nodes {
		n.part = 0
		if n.log != winner {
			n.hangUp()
		}
	}
	d.oracle.lost(loser.kept(), died)
}

// finish judges twice: when everything has healed, and when the last late copy has arrived.
func (d *driver) finish() {
	if d.splitEnds != 0 {
		d.join()
	}
	if !d.s.never {
		d.sides[0].up = true
	}
	d.settle()
	d.judge()
	if len(d.mail) == 0 || d.s.never {
		return
	}
	for len(d.mail) > 0 {
		d.pass(rMs / 5)
		d.meet()
	}
	d.settle()
	d.judge()
}
