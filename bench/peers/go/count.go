// Counting of jobs, as bench/harness/count.c does it: a counter for each thread that runs jobs (here for each P, Go's
// slots for threads that may run), so that counting costs next to nothing and shares no line. A WaitGroup or one atomic
// counter would make the workers fetch its line from each other with every job, which no other subject has to.
//
// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"os"
	"time"
	_ "unsafe" // go:linkname
)

const (
	procsMax  = 1024
	lookEvery = 50 * time.Microsecond
)

type counter struct {
	jobs uint64
	_    [120]byte // two lines: the next one is prefetched with its neighbour
}

var counters [procsMax]counter

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// count: one more job ran, here.
func count() {
	p := procPin()
	bump(&counters[p&(procsMax-1)].jobs)
	procUnpin()
}

func counted() uint64 {
	var sum uint64
	for i := range counters {
		sum += peek(&counters[i].jobs)
	}
	return sum
}

// waitCounted waits until so many jobs were counted since the program started; false, and a message, when for
// --patience none was. Sleeps between looks: the caller's cpu may be a worker's.
func (r *run) waitCounted(jobs uint64) bool {
	seen := counted()
	for since := time.Now(); ; {
		now := counted()
		if now >= jobs {
			return true
		}
		if now != seen {
			seen, since = now, time.Now()
		} else if time.Since(since).Seconds() > r.patience {
			fmt.Fprintf(os.Stderr, "%s: %s: %d of %d jobs ran, no more for %g s: the others are lost\n",
				program, r.work.id, now, jobs, r.patience)
			return false
		}
		time.Sleep(lookEvery)
	}
}
