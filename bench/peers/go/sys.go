// The machine as the works need it, after bench/harness/sys.c and clock.c: stamps, cpus, cpu time, and the one-way
// travel of a cache line.
//
// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	cpusMax          = 1024
	clockProcess     = 2
	clockThread      = 3
	calibration      = 20 * time.Millisecond
	ballSamples      = 40
	ballRounds       = 200
	ballLimit        = 500 * time.Millisecond
	ballQuit         = ^uint32(0)
	relaxedNs        = 300
	confinePassesMax = 10
)

var (
	start     = time.Now()
	useTSC    bool
	nsPerTick = 1.0
	allowed   []int
)

func monoNs() uint64 { return uint64(time.Since(start)) }

// ticks is the time in the clock's own steps.
func ticks() uint64 {
	if useTSC {
		return rdtsc()
	}
	return monoNs()
}

// ticksOrdered is the same, but not before everything above it is done.
func ticksOrdered() uint64 {
	if useTSC {
		return rdtscp()
	}
	return monoNs()
}

func toNs(t uint64) float64 { return float64(t) * nsPerTick }

func toTicks(ns float64) uint64 { return uint64(ns/nsPerTick + 0.5) }

// readPair is a (ticks, ns) pair read closely together: the tightest of 16 tries.
func readPair() (at, ns uint64) {
	best := ^uint64(0)
	for i := 0; i < 16; i++ {
		a := rdtsc()
		t := monoNs()
		b := rdtsc()
		if b-a < best {
			best, at, ns = b-a, a+(b-a)/2, t
		}
	}
	return at, ns
}

func setupClock() {
	if !haveTSC() {
		return
	}
	ticksA, nsA := readPair()
	time.Sleep(calibration)
	ticksB, nsB := readPair()
	if ticksB > ticksA {
		nsPerTick = float64(nsB-nsA) / float64(ticksB-ticksA)
		useTSC = true
	}
}

func spinUntil(due uint64) uint64 {
	relaxed := toTicks(relaxedNs)
	now := ticks()
	for now < due {
		if due-now > relaxed {
			relax()
		}
		now = ticks()
	}
	return now
}

func cpuNs(clock uintptr) uint64 {
	var ts syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0)
	return uint64(ts.Nano())
}

type cpuSet [cpusMax / 64]uint64

func setOf(cpus []int) (s cpuSet) {
	for _, cpu := range cpus {
		s[cpu/64] |= 1 << (cpu % 64)
	}
	return s
}

func readAllowed() {
	var s cpuSet
	syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(s), uintptr(unsafe.Pointer(&s)))
	for cpu := 0; cpu < cpusMax; cpu++ {
		if s[cpu/64]&(1<<(cpu%64)) != 0 {
			allowed = append(allowed, cpu)
		}
	}
	if len(allowed) == 0 {
		allowed = []int{0}
	}
}

// pinThread pins a thread, 0 = the calling one, which must be locked to its goroutine.
func pinThread(tid int, cpus []int) bool {
	s := setOf(cpus)
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(s),
		uintptr(unsafe.Pointer(&s)))
	return errno == 0
}

// confineOthers moves every thread of this process but the calling one to these cpus. Threads that the runtime starts
// later come from one of them (a locked thread never starts any), so they stay there too. Go offers no nearer pinning:
// a goroutine locked to its thread would be, but each of its waits then costs two more thread switches.
func confineOthers(cpus []int) {
	own := syscall.Gettid()
	done := map[int]bool{own: true}
	for pass, found := 0, true; found && pass < confinePassesMax; pass++ {
		found = false
		tasks, _ := os.ReadDir("/proc/self/task")
		for _, task := range tasks {
			if tid, err := strconv.Atoi(task.Name()); err == nil && !done[tid] {
				done[tid], found = true, true
				pinThread(tid, cpus)
			}
		}
	}
}

type court struct {
	_     [64]byte
	ball  uint32 // odd = side A's turn is over
	_     [124]byte
	until time.Time
}

// await waits until the ball is want; false when the other side quit or time is over.
func (c *court) await(want uint32) bool {
	for i := uint32(1); ; i++ {
		v := atomic.LoadUint32(&c.ball)
		if v == want {
			return true
		}
		if v == ballQuit || (i%4096 == 0 && time.Now().After(c.until)) {
			return false
		}
	}
}

func (c *court) sideA() (samples []float64) {
	turn := uint32(0)
	for len(samples) < ballSamples {
		begin := ticks()
		for i := 0; i < ballRounds; i++ {
			atomic.StoreUint32(&c.ball, turn+1)
			if !c.await(turn + 2) {
				return samples
			}
			turn += 2
		}
		samples = append(samples, toNs(ticks()-begin)/(2*ballRounds))
	}
	return samples
}

// pingpongNs is the median of short series between two cpus, one way; 0 where they are one, or never run at one time.
func pingpongNs(cpuA, cpuB int) float64 {
	if cpuA == cpuB {
		return 0
	}
	c := &court{until: time.Now().Add(ballLimit)}
	result := make(chan []float64)
	go func() { // ends locked, and its thread with it
		runtime.LockOSThread()
		pinThread(0, []int{cpuB})
		for turn := uint32(0); c.await(turn + 1); turn += 2 {
			if !atomic.CompareAndSwapUint32(&c.ball, turn+1, turn+2) {
				break
			}
		}
		result <- nil
	}()
	go func() {
		runtime.LockOSThread()
		pinThread(0, []int{cpuA})
		samples := c.sideA()
		atomic.StoreUint32(&c.ball, ballQuit)
		result <- samples
	}()
	samples := append(<-result, <-result...)
	sort.Float64s(samples)
	return quantile(samples, 0.5)
}
