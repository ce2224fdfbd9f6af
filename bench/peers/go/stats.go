// Percentiles, plain and by windows, ideal waits and random numbers: the same as in bench/harness/stats.c, so that the
// same seed gives the same trace.
//
// SPDX-License-Identifier: MIT

package main

import (
	"math"
	"sort"
)

const (
	windowNs         = 30e6
	windowsMax       = 4096
	windowSamplesMin = 100.0
)

type rng struct{ s uint64 }

func (r *rng) next() uint64 { // splitmix64
	r.s += 0x9e3779b97f4a7c15
	z := r.s
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func (r *rng) unit() float64 { return float64((r.next()>>11)+1) * 0x1.0p-53 }

func (r *rng) exp(mean float64) float64 { return -mean * math.Log(r.unit()) }

// quantile of sorted values: nearest rank, counted from 1. 0 when there are none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	if rank < 1 {
		rank = 1
	}
	if rank > len(sorted) {
		rank = len(sorted)
	}
	return sorted[rank-1]
}

func sorted(v []float64) []float64 {
	s := append([]float64(nil), v...)
	sort.Float64s(s)
	return s
}

// windowed is the median over windows of about windowNs of the window's quantile. at ascends. A window is made long
// enough for 100 samples; one that has less than half of what the mean says is left out.
func windowed(at, value []float64, q float64) float64 {
	n := len(at)
	if n == 0 {
		return 0
	}
	span := at[n-1] - at[0]
	length := float64(windowNs)
	if length*float64(n) < windowSamplesMin*span {
		length = windowSamplesMin * span / float64(n)
	}
	if length*windowsMax < span {
		length = span / (windowsMax - 1)
	}
	mean := float64(n)
	if span > length {
		mean = float64(n) * length / span
	}
	var found []float64
	for i := 0; i < n && len(found) < windowsMax; {
		end := at[0] + length*(math.Floor((at[i]-at[0])/length)+1)
		k := i + 1
		for k < n && at[k] < end {
			k++
		}
		if float64(k-i) >= mean/2 {
			found = append(found, quantile(sorted(value[i:k]), q))
		}
		i = k
	}
	return quantile(sorted(found), 0.5)
}

// idealWaits are those of a queue without any overhead: first in, first out, each job starts as soon as it has arrived
// and one of the servers is free.
func idealWaits(arrive, service []float64, servers int) []float64 {
	wait := make([]float64, len(arrive))
	freeAt := make([]float64, servers)
	for i := range arrive {
		first := 0
		for s := range freeAt {
			if freeAt[s] < freeAt[first] {
				first = s
			}
		}
		begin := math.Max(arrive[i], freeAt[first])
		wait[i] = begin - arrive[i]
		freeAt[first] = begin + service[i]
	}
	return wait
}
