// What depends on the cpu, for x86. SPDX-License-Identifier: MIT

package main

import (
	"os"
	"strings"
	"sync/atomic"
)

func rdtsc() uint64
func rdtscp() uint64
func relax()

// haveTSC says whether the kernel itself trusts the time stamp counter.
func haveTSC() bool {
	name, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	return err == nil && strings.HasPrefix(string(name), "tsc")
}

// bump adds one to a counter that only this thread writes. A plain add: this cpu keeps stores in order, so that who
// reads the count also sees what the job wrote before; atomic.Store would be a locked exchange in every job.
func bump(n *uint64) { *n++ }

// peek reads another thread's counter.
func peek(n *uint64) uint64 { return atomic.LoadUint64(n) }
