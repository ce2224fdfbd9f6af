// The two ways in which Go programs run jobs, as subjects of the benches: go_channel, workers that range over one
// buffered channel, and go_goroutine, a goroutine for each job.
//
// SPDX-License-Identifier: MIT

package main

import (
	"sync"
	"sync/atomic"
)

const (
	channelRoom  = 4096
	goroutineMax = 4096 // waiting at one time: each has a stack of 2 KiB or more
	paceEvery    = 1024
)

// jobFn is what a job runs; arg is an index or a number, as the work wants it.
type jobFn func(arg uint64)

type pool interface {
	submit(fn jobFn, arg uint64) // from a producer; waits while there is no room
	spawn(fn jobFn, arg uint64)  // from inside a job; never waits
	pace(r *run) bool            // a producer calls it once in paceEvery submits of a work of throughput
	close()                      // after all jobs ended
}

type subject struct {
	name, idlePolicy string
	open             func(workers, room int) pool
}

// That sleep is the runtime's own (runqgrab); with the kernel's usual timer slack of 50 us it lasts far longer.
const idlePolicy = "an idle thread looks four times through all queues, sleeping 3 us before it takes the newest job" +
	" of a running one, then parks on a futex"

var subjects = []subject{
	{"go_channel", idlePolicy, openChannel},
	{"go_goroutine", idlePolicy, openGoroutine},
}

type job struct {
	fn  jobFn
	arg uint64
}

type channelPool struct {
	jobs    chan job
	workers sync.WaitGroup
}

func openChannel(workers, room int) pool {
	p := &channelPool{jobs: make(chan job, room)}
	for i := 0; i < workers; i++ {
		p.workers.Add(1)
		go func() {
			defer p.workers.Done()
			for j := range p.jobs {
				j.fn(j.arg)
			}
		}()
	}
	return p
}

func (p *channelPool) submit(fn jobFn, arg uint64) { p.jobs <- job{fn, arg} }

// spawn finds room: for works that spawn, the channel is opened with as much as their jobs can need at one time.
func (p *channelPool) spawn(fn jobFn, arg uint64) { p.jobs <- job{fn, arg} }

func (p *channelPool) pace(*run) bool { return true }

func (p *channelPool) close() {
	close(p.jobs)
	p.workers.Wait()
}

type goroutinePool struct {
	sent uint64 // sync: atomic
}

func openGoroutine(int, int) pool { return &goroutinePool{} }

func (p *goroutinePool) submit(fn jobFn, arg uint64) { go fn(arg) }

func (p *goroutinePool) spawn(fn jobFn, arg uint64) { go fn(arg) }

// pace keeps a producer that is faster than the workers from filling the memory with stacks.
func (p *goroutinePool) pace(r *run) bool {
	sent := atomic.AddUint64(&p.sent, paceEvery)
	return sent < goroutineMax || r.waitCounted(sent-goroutineMax)
}

func (p *goroutinePool) close() {}
