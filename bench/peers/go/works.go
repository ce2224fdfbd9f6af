// The works, step for step those of bench/harness/work_*.c: latency (B1*), throughput and tree (B2, B3, B4), open loop (B5).
//
// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	fastGapNs  = 20e3
	slowGapNs  = 1e6
	onTimeNs   = 100.0 // the spinning producer's own grain
	warmNsMax  = 0.5e9
	latencyMin = 20

	pilotJobs = 20000 // warms up; tells how many jobs fit into --seconds
	burstMin  = 1000
	burstMax  = 50000000

	utilisation = 0.7
	shortNs     = 1e3
	longNs      = 100e3
	longShare   = 0.005
	openMin     = 100
	openMax     = 8000000
)

// keepPlaces decides who may run where. The producer of latencies and of the open loop has a thread and a cpu of its
// own, all other threads keep to the workers' cpus. In works of throughput the producers are goroutines like the others,
// on all of the cpus of the run: they wait when the channel is full, which would cost a goroutine that is locked to its
// thread two thread switches.
func (r *run) keepPlaces() {
	alone := r.producerCPU[0] >= 0 && (r.work.kind == kindLatency || r.work.kind == kindOpen)
	own, others := r.producerCPU[:1], r.workerCPU
	if !alone {
		own = append([]int(nil), r.workerCPU...)
		for _, cpu := range r.producerCPU {
			if cpu >= 0 {
				own = append(own, cpu)
			}
		}
		others = own
	}
	runtime.GOMAXPROCS(min(r.workers+r.producers, len(r.cpus)))
	runtime.LockOSThread()
	confineOthers(others)
	if !pinThread(0, own) {
		fmt.Fprintf(os.Stderr, "%s: the kernel refuses to keep the producer to cpu %v\n", program, own)
	}
	if !alone {
		runtime.UnlockOSThread()
	}
}

// overSubject opens the subject, runs body in the first producer, closes. True only if as many jobs ran as were
// submitted.
func (r *run) overSubject(room int, body func(r *run) bool) bool {
	r.keepPlaces()
	r.pool = r.subject.open(r.workers, room)
	if !body(r) {
		return false
	}
	r.pool.close()
	if n := counted(); n != r.submitted {
		fmt.Fprintf(os.Stderr, "%s: %s: %d jobs submitted, but %d ran\n", program, r.work.id, r.submitted, n)
		return false
	}
	return true
}

// touched is memory without first-touch faults.
func touched[T any](n uint64) []T {
	s := make([]T, n)
	for i := range s {
		var zero T
		s[i] = zero
	}
	return s
}

// ---- latency ----

type latency struct {
	warm, jobs      uint64
	due, sent, done []uint64 // ticks: when it was due, submit called, submit returned
	started         []uint64 // written by the job
	readTicks       uint64   // what reading the clock adds to done
	cpuPercent      float64
}

var started []uint64 // of the one latency run of this process

func stamp(arg uint64) {
	started[arg] = ticksOrdered()
	count()
}

func clockCost() uint64 {
	cost := make([]float64, 201)
	for i := range cost {
		a := ticks()
		cost[i] = float64(ticksOrdered() - a)
	}
	return uint64(quantile(sorted(cost), 0.5))
}

func planLatency(r *run) *latency {
	slow := strings.HasPrefix(r.work.id, "B1b")
	periodic := r.work.id != "B1b"
	gap := float64(fastGapNs)
	if slow {
		gap = slowGapNs
	}
	l := &latency{jobs: r.jobs}
	if l.jobs == 0 {
		l.jobs = uint64(r.seconds * 1e9 / gap)
	}
	if l.jobs < latencyMin {
		l.jobs = latencyMin
	}
	l.warm = l.jobs / 5
	if float64(l.warm)*gap > warmNsMax {
		l.warm = uint64(warmNsMax / gap)
	}
	all := l.warm + l.jobs
	l.due, l.sent, l.done = touched[uint64](all), touched[uint64](all), touched[uint64](all)
	l.started = touched[uint64](all)
	random := rng{r.seed}
	at := 0.0
	for i := range l.due {
		if periodic {
			at += gap
		} else {
			at += random.exp(gap)
		}
		l.due[i] = toTicks(at)
	}
	l.readTicks = clockCost()
	return l
}

func (l *latency) drive(r *run) {
	var cpu, own, begin uint64
	zero := ticks()
	for i := range l.due {
		if uint64(i) == l.warm {
			begin, cpu, own = ticks(), cpuNs(clockProcess), cpuNs(clockThread)
		}
		l.due[i] += zero
		l.sent[i] = spinUntil(l.due[i])
		r.pool.submit(stamp, uint64(i))
		l.done[i] = ticksOrdered()
	}
	own = cpuNs(clockThread) - own
	cpu = cpuNs(clockProcess) - cpu
	l.cpuPercent = math.Max(0, 100*(float64(cpu)-float64(own))/toNs(ticks()-begin))
}

func (l *latency) report(r *run) {
	at, wait, cost := make([]float64, l.jobs), make([]float64, l.jobs), make([]float64, l.jobs)
	onTime := toTicks(onTimeNs)
	late := 0
	for i := range at {
		k := l.warm + uint64(i)
		from := l.sent[k]
		if l.sent[k]-l.due[k] >= onTime {
			from = l.due[k]
			late++
		}
		at[i] = toNs(l.due[k] - l.due[l.warm])
		if l.started[k] > from {
			wait[i] = toNs(l.started[k] - from)
		}
		if spent := l.done[k] - l.sent[k]; spent > l.readTicks {
			cost[i] = toNs(spent - l.readTicks)
		}
	}
	if r.work.id != "B1c" {
		r.addLatency(at, wait)
	}
	r.add("submit_w50", "ns", windowed(at, cost, 0.5), l.jobs)
	cost = sorted(cost)
	r.add("submit_p50", "ns", quantile(cost, 0.5), l.jobs)
	r.add("submit_p99", "ns", quantile(cost, 0.99), l.jobs)
	r.add("cpu_percent", "percent", l.cpuPercent, l.jobs)
	r.add("late_percent", "percent", 100*float64(late)/float64(l.jobs), l.jobs)
}

func runLatency(r *run) bool {
	l := planLatency(r)
	started = l.started
	return r.overSubject(channelRoom, func(r *run) bool {
		runtime.GC() // the planning's garbage is not the subject's
		l.drive(r)
		r.submitted = l.warm + l.jobs
		if !r.waitCounted(r.submitted) {
			return false
		}
		l.report(r)
		return true
	})
}

// ---- throughput and tree ----

type burst struct {
	jobs        uint64 // of all producers together
	start       chan struct{}
	ready       sync.WaitGroup
	ended       sync.WaitGroup
	submitTicks uint64 // sync: atomic; of all producers
	failed      uint32 // sync: atomic
}

type burstResult struct{ wallNs, submitNs, cpuNs float64 }

func empty(uint64) { count() }

var treePool pool // of the one tree run of this process

// tree is a tree of n jobs: this one, and two trees of about half of the rest.
func tree(n uint64) {
	rest := n - 1
	left := rest / 2
	if rest-left > 0 {
		treePool.spawn(tree, rest-left)
	}
	if left > 0 {
		treePool.spawn(tree, left)
	}
	count()
}

func (f *burst) submitAll(r *run, jobs uint64) {
	begin := ticks()
	if r.work.kind == kindTree {
		r.pool.submit(tree, jobs)
	} else {
		for i := uint64(1); i <= jobs; i++ {
			r.pool.submit(empty, 0)
			if i%paceEvery == 0 && !r.pool.pace(r) {
				atomic.StoreUint32(&f.failed, 1)
				return
			}
		}
	}
	atomic.AddUint64(&f.submitTicks, ticks()-begin)
}

func (f *burst) share(producers, index int) uint64 {
	n, i := uint64(producers), uint64(index)
	if i < f.jobs%n {
		return f.jobs/n + 1
	}
	return f.jobs / n
}

func (f *burst) producer(r *run, index int) {
	defer f.ended.Done()
	f.ready.Done()
	<-f.start
	f.submitAll(r, f.share(r.producers, index))
}

func (r *run) measure(jobs uint64) (res burstResult, ok bool) {
	f := &burst{jobs: jobs, start: make(chan struct{})}
	for i := 1; i < r.producers; i++ {
		f.ready.Add(1)
		f.ended.Add(1)
		go f.producer(r, i)
	}
	f.ready.Wait()
	runtime.GC()
	cpu := cpuNs(clockProcess)
	begin := ticks()
	close(f.start)
	f.submitAll(r, f.share(r.producers, 0))
	f.ended.Wait()
	r.submitted += jobs
	ok = f.failed == 0 && r.waitCounted(r.submitted)
	res.wallNs = toNs(ticks() - begin)
	res.cpuNs = float64(cpuNs(clockProcess) - cpu)
	res.submitNs = toNs(f.submitTicks)
	return res, ok
}

func (r *run) burstBody() bool {
	jobs := r.jobs
	pilot := uint64(pilotJobs)
	if jobs > 0 && jobs < pilot {
		pilot = jobs
	}
	treePool = r.pool
	res, ok := r.measure(pilot)
	if !ok {
		return false
	}
	if jobs == 0 {
		fit := r.seconds * 1e9 / (res.wallNs / pilotJobs)
		jobs = uint64(math.Min(math.Max(fit, burstMin), math.Min(burstMax, float64(r.work.jobs))))
	}
	if res, ok = r.measure(jobs); !ok {
		return false
	}
	r.add("ns_per_job", "ns", res.wallNs/float64(jobs), jobs)
	r.add("cpu_ns_per_job", "ns", res.cpuNs/float64(jobs), jobs)
	if r.work.kind != kindTree {
		r.add("submit_ns_per_job", "ns", res.submitNs/float64(jobs), jobs)
	}
	return true
}

func runThroughput(r *run) bool { return r.overSubject(channelRoom, (*run).burstBody) }

// runTree gives the channel room for all that can wait at one time: each waiting job is a tree with a leaf of its own,
// and at most half of the jobs, rounded up, are leaves.
func runTree(r *run) bool {
	jobs := r.work.jobs
	if r.jobs > 0 {
		jobs = r.jobs
	}
	return r.overSubject(int(jobs/2+pilotJobs), (*run).burstBody)
}

// ---- open loop ----

type openJob struct {
	serviceTicks uint64 // how long it works; written before the run
	start, end   uint64 // ticks, written by the job
}

var openJobs []openJob // of the one open-loop run of this process

func serve(arg uint64) {
	j := &openJobs[arg]
	begin := ticksOrdered()
	now := begin
	for now-begin < j.serviceTicks {
		now = ticks()
	}
	j.start, j.end = begin, now
	count()
}

func planOpen(r *run) (due []uint64) {
	const mean = (1-longShare)*shortNs + longShare*longNs
	gap := mean / (utilisation * float64(r.workers))
	jobs := r.jobs
	if jobs == 0 {
		jobs = uint64(r.seconds * 1e9 / gap)
	}
	jobs = uint64(math.Min(math.Max(float64(jobs), openMin), openMax))
	openJobs = touched[openJob](jobs)
	due = touched[uint64](jobs)
	random := rng{r.seed}
	at := 0.0
	for i := range due {
		at += random.exp(gap)
		due[i] = toTicks(at)
		service := float64(shortNs)
		if random.unit() <= longShare {
			service = longNs
		}
		openJobs[i].serviceTicks = toTicks(service)
	}
	return due
}

func reportOpen(r *run, due []uint64) {
	n := len(due)
	at, wait, service := make([]float64, n), make([]float64, n), make([]float64, n)
	for i, j := range openJobs {
		at[i] = toNs(due[i] - due[0])
		if j.start > due[i] {
			wait[i] = toNs(j.start - due[i])
		}
		service[i] = toNs(j.end - j.start)
	}
	warm := n / 10
	ideal := idealWaits(at, service, r.workers)[warm:]
	limit := toTicks((shortNs + longNs) / 2)
	var shortAt, shortWait []float64
	for i := warm; i < n; i++ {
		if openJobs[i].serviceTicks < limit {
			shortAt, shortWait = append(shortAt, at[i]), append(shortWait, wait[i])
		}
	}
	at, wait = at[warm:], wait[warm:]
	measured, shorts := uint64(len(at)), uint64(len(shortAt))
	w50, w99 := windowed(at, wait, 0.5), windowed(at, wait, 0.99)
	ideal50, ideal99 := windowed(at, ideal, 0.5), windowed(at, ideal, 0.99)
	ratio := 0.0
	if ideal99 > 0 {
		ratio = w99 / ideal99
	}
	r.addLatency(at, wait)
	r.add("ideal_w50", "ns", ideal50, measured)
	r.add("ideal_w99", "ns", ideal99, measured)
	r.add("w50_over_ideal", "ns", w50-ideal50, measured)
	r.add("w99_ratio", "ratio", ratio, measured)
	r.add("short_w50", "ns", windowed(shortAt, shortWait, 0.5), shorts)
	r.add("short_w99", "ns", windowed(shortAt, shortWait, 0.99), shorts)
}

func runOpen(r *run) bool {
	due := planOpen(r)
	return r.overSubject(channelRoom, func(r *run) bool {
		runtime.GC()
		zero := ticks() + toTicks(100e3)
		for i := range due {
			due[i] += zero
			spinUntil(due[i])
			r.pool.submit(serve, uint64(i))
		}
		r.submitted = uint64(len(due))
		if !r.waitCounted(r.submitted) {
			return false
		}
		reportOpen(r, due)
		return true
	})
}
