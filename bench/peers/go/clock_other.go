// What depends on the cpu, where it is not x86. SPDX-License-Identifier: MIT

//go:build !amd64

package main

import "sync/atomic"

func rdtsc() uint64  { return monoNs() }
func rdtscp() uint64 { return monoNs() }
func relax()         {}
func haveTSC() bool  { return false }

// bump adds one to a counter that only this thread writes.
func bump(n *uint64) { atomic.AddUint64(n, 1) }

// peek reads another thread's counter.
func peek(n *uint64) uint64 { return atomic.LoadUint64(n) }
