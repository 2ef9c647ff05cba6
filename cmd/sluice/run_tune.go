package main

import (
	"runtime"
	"runtime/debug"
)

const (
	// leastThreads lets requests go on while the log waits for the disk: with as many running
	// threads as a small machine has cores, the one that comes back from the disk has to wait
	// for its turn after each event.
	leastThreads = 4
	// heapGrowth in percent, below Go's default: a replica's heap is small and quickly collected, and
	// what waits to be collected would be most of its memory.
	heapGrowth = 75
)

// tune sets what Go leaves to the program; GOMAXPROCS and GOGC of the environment win.
func tune(v variables) {
	if v["GOMAXPROCS"] == "" && runtime.GOMAXPROCS(0) < leastThreads {
		runtime.GOMAXPROCS(leastThreads)
	}
	if v["GOGC"] == "" {
		debug.SetGCPercent(heapGrowth)
	}
}
