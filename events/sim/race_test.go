//go:build race

package sim_test

// slow: under the race detector, which has little to find in one goroutine, everything takes
// about eight times as long: a quarter of the seeds and a search less deep have to do.
const slow = true
