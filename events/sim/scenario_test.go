package sim_test

import "math/rand/v2"

// scenario is a mixture of what may go wrong. Weights are per mille of the steps.
type scenario struct {
	name  string
	steps int
	keys  int
	r     int64 // milliseconds; 0: 400 s

	bad    int64 // by which the clock of n0 is wrong
	coarse int64
	leader int64 // bound of the log's clock error
	late   int   // per cent of publishes

	write, raw, checkpoint, trim  int
	crash, outage, cut, partition int
	tail, recreate, cold, split   int
	pause, leaders                int
	tailMax, lives                int // messages; per cent of consumers that live on
	splitFor                      int64
	never                         bool // the log never comes back
	audits                        int  // per cent of the usual number of audits
	fails                         int  // runs in 8,000 that fail beyond the promise
}

const pauseMax = 3 * rMs

// plain is what everything else is a variation of.
func plain(name string, change func(*scenario)) scenario {
	s := scenario{
		name: name, steps: 500, keys: 3, late: 5, leader: 2000,
		write: 120, checkpoint: 10, crash: 6, outage: 8, cut: 10, partition: 8, leaders: 5, pause: 2, tailMax: 8, audits: 100,
	}
	if change != nil {
		change(&s)
	}
	return s
}

// calm has few writes, so that they outlive R, and many late copies. Pauses are rare: each of
// them that meets a log out of reach costs what waits for it.
func calm(name string, change func(*scenario)) scenario {
	return plain(name, func(s *scenario) {
		s.write, s.late, s.pause, s.crash, s.keys = 25, 55, 3, 3, 4
		if change != nil {
			change(s)
		}
	})
}

func everything(s *scenario) {
	s.raw, s.trim, s.tail, s.recreate, s.cold, s.lives, s.steps, s.keys = 15, 6, 5, 4, 2, 50, 800, 4
}

func scenarios() []scenario {
	return []scenario{
		plain("plain", nil),
		plain("ties", func(s *scenario) { s.coarse, s.write = 1000, 250 }),
		plain("raw", func(s *scenario) { s.raw = 40 }),
		plain("trim", func(s *scenario) { s.trim, s.checkpoint, s.cut, s.partition = 40, 60, 20, 25 }),
		plain("clock+24h", func(s *scenario) { s.bad = 24 * 3600 * 1000 }),
		plain("clock-24h", func(s *scenario) { s.bad = -24 * 3600 * 1000 }),
		plain("clock+7s", func(s *scenario) { s.bad = 7000 }),
		plain("clock+16s", func(s *scenario) { s.bad = 16_000 }),
		plain("never", func(s *scenario) { s.never = true }),
		plain("tail", func(s *scenario) { s.tail = 12 }),
		plain("tail+trim+raw", func(s *scenario) { s.tail, s.trim, s.raw, s.checkpoint = 12, 10, 15, 25 }),
		plain("tail40", func(s *scenario) { s.tail, s.tailMax = 12, 40 }),
		plain("lives", func(s *scenario) { s.tail, s.lives, s.checkpoint, s.audits = 25, 100, 15, 15 }),
		plain("recreate", func(s *scenario) { s.recreate = 8 }),
		plain("recreate+raw+trim", func(s *scenario) { s.recreate, s.raw, s.trim, s.checkpoint = 8, 20, 10, 20 }),
		plain("cold", func(s *scenario) { s.cold = 4 }),
		plain("cold+recreate", func(s *scenario) { s.cold, s.recreate = 4, 6 }),
		plain("everything", everything),
		plain("everything without pauses", func(s *scenario) { everything(s); s.pause = 0 }),
		calm("calm", nil),
		calm("calm+trim", func(s *scenario) { s.trim, s.checkpoint, s.cut, s.partition, s.write = 40, 80, 20, 25, 40 }),
		calm("calm+tail+trim", func(s *scenario) { s.tail, s.trim, s.checkpoint = 8, 10, 20 }),
		calm("calm+recreate", func(s *scenario) { s.recreate = 8 }),
		calm("calm+cold", func(s *scenario) { s.cold = 4 }),
		calm("calm+stale", func(s *scenario) { s.recreate, s.cold, s.checkpoint = 6, 4, 2 }),
		plain("leader", func(s *scenario) { s.leader, s.leaders, s.r = 150_000, 10, 200_000 }),
		plain("leader+recreate", func(s *scenario) { s.leader, s.leaders, s.r, s.recreate = 150_000, 10, 200_000, 6 }),
		plain("split", func(s *scenario) { s.split, s.splitFor, s.pause = 8, rMs*3/4, 0 }),
		calm("calm+split", func(s *scenario) { s.split, s.splitFor, s.pause = 8, rMs*3/4, 0 }),
		plain("long split", func(s *scenario) { s.split, s.splitFor, s.fails = 8, pauseMax, 8 }),
		calm("calm+long split", func(s *scenario) { s.split, s.splitFor, s.fails = 8, pauseMax, 16 }),
	}
}

// run is one run of a scenario; the error is the violation that ended it.
func (s scenario) run(seed uint64, with settings) (w *world, err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case violation:
			err = errorText(v.text)
		default:
			panic(v)
		}
	}()
	with.name = s.name
	with.replicas, with.keys, with.disks = 5, s.keys, 2
	with.rng = rand.New(rand.NewPCG(seed, uint64(len(s.name))))
	with.lossCast, with.lossPublish, with.double, with.late = 20, 5, 10, s.late
	w = newWorld(with)
	d := driver{world: w, s: s}
	d.prepare()
	for range s.steps {
		d.step()
	}
	d.finish()
	return w, nil
}

type errorText string

func (e errorText) Error() string { return string(e) }
