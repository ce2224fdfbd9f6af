// The Go peers of the benches, subject_go_channel and subject_go_goroutine: one native program (called through cgo, Go
// would pay for the crossing), which takes the flags, does the works and prints the rows of bench/harness/program.c.
// Which of the two it is, its own name says, or --subject.
//
// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

const (
	secondsMax = 3600.0
	jobsMax    = 1e9
	workersMax = 256
	idleMode   = "default"
	exitUsage  = 2
	exitCannot = 77
)

type kind int

const (
	kindLatency kind = iota
	kindThroughput
	kindTree
	kindOpen
	kindCannot
)

type work struct {
	id, what           string
	kind               kind
	workers, producers int
	seconds            float64 // default of --seconds; 0 = all jobs
	jobs               uint64  // default of --jobs; 0 = as many as fit into the seconds
}

var works = []work{
	{"B1", "dispatch latency, a job each 20 us, one worker", kindLatency, 1, 1, 1, 0},
	{"B1a", "the same, where the mode is adaptive", kindLatency, 1, 1, 1, 0},
	{"B1b", "dispatch latency, a job each 1 ms on average, at random, one worker", kindLatency, 1, 1, 2, 0},
	{"B1b-periodic", "the same, each 1 ms sharp", kindLatency, 1, 1, 2, 0},
	{"B1c", "what submitting costs the submitter, a job each 20 us, one worker", kindLatency, 1, 1, 1, 0},
	{"B2", "throughput of empty jobs, one producer, two workers", kindThroughput, 2, 1, 0, 5000000},
	{"B2-batch16", "the same in batches of 16", kindCannot, 2, 1, 0, 0}, // Go has no batches
	{"B3", "throughput of empty jobs, two producers, two workers", kindThroughput, 2, 2, 0, 5000000},
	{"B4", "jobs that spawn two jobs each, two workers", kindTree, 2, 1, 0, 4000000},
	{"B5", "open loop, Poisson, 70 %, 99.5 % x 1 us + 0.5 % x 100 us, one worker", kindOpen, 1, 1, 2, 0},
}

type row struct {
	metric, unit string
	value        float64
	n            uint64
}

type run struct {
	subject            subject
	work               work
	workers, producers int
	seconds, patience  float64
	jobs, seed         uint64
	producerCPU        []int // -1 = anywhere: every cpu has a worker
	workerCPU          []int
	cpus               []int
	pingpong           float64
	pingpongAfter      float64
	pool               pool
	submitted          uint64
	rows               []row
}

var program = filepath.Base(os.Args[0])

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func version() string { return strings.TrimPrefix(runtime.Version(), "go") }

func (r *run) add(metric, unit string, value float64, n uint64) {
	r.rows = append(r.rows, row{metric, unit, value, n})
}

func (r *run) addLatency(at, value []float64) {
	s, n := sorted(value), uint64(len(value))
	r.add("p50", "ns", quantile(s, 0.5), n)
	r.add("p90", "ns", quantile(s, 0.9), n)
	r.add("p99", "ns", quantile(s, 0.99), n)
	r.add("p99.9", "ns", quantile(s, 0.999), n)
	r.add("w50", "ns", windowed(at, value, 0.5), n)
	r.add("w99", "ns", windowed(at, value, 0.99), n)
}

func (r *run) printRows() error {
	var out strings.Builder
	for _, row := range r.rows {
		fmt.Fprintf(&out, `{"id": %q, "subject": %q, "version": %q, "idle_mode": %q, `,
			r.work.id, r.subject.name, version(), idleMode)
		fmt.Fprintf(&out, `"metric": %q, "unit": %q, "value": %.4f, "n": %d, "pingpong_ns": %.1f, "pingpong_after_ns": %.1f}`+"\n",
			row.metric, row.unit, row.value, row.n, r.pingpong, r.pingpongAfter)
	}
	_, err := io.WriteString(os.Stdout, out.String())
	return err
}

// refuse says what is wrong with the command line, and ends the program.
func refuse(code int, format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", program, fmt.Sprintf(format, args...))
	os.Exit(code)
}

func number(option, text string, low, high float64, whole bool) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= low && v <= high) || (whole && v != math.Floor(v)) {
		want := ""
		if whole {
			want = "whole "
		}
		refuse(exitUsage, "--%s: '%s': want a %snumber from %g to %g", option, text, want, low, high)
	}
	return v
}

func parseCPUs(text string) (cpus []int) {
	if text == "" {
		return allowed
	}
	for _, field := range strings.Split(text, ",") {
		cpu, err := strconv.Atoi(field)
		if err != nil {
			refuse(exitUsage, "--cpus: '%s': want cpu numbers, such as 0,1", text)
		}
		found := false
		for _, a := range allowed {
			found = found || a == cpu
		}
		if !found {
			refuse(exitUsage, "--cpus: '%s': this process may not run on cpu %d", text, cpu)
		}
		cpus = append(cpus, cpu)
	}
	return cpus
}

// layOut: producers first, then workers, each on a cpu of its own; where there are too few, the workers share out all.
func (r *run) layOut() {
	room := r.producers+r.workers <= len(r.cpus)
	for i := 0; i < r.workers; i++ {
		k := i
		if room {
			k = r.producers + i
		} else if r.workers == 1 {
			k = 1
		}
		r.workerCPU = append(r.workerCPU, r.cpus[k%len(r.cpus)])
	}
	for i := 0; i < r.producers; i++ {
		cpu := -1
		if room || r.workers < len(r.cpus) {
			cpu = r.cpus[i%len(r.cpus)]
		}
		r.producerCPU = append(r.producerCPU, cpu)
	}
}

func describe(s subject) {
	var ids, titles []string
	for _, w := range works {
		if w.kind != kindCannot {
			ids = append(ids, strconv.Quote(w.id))
		}
		titles = append(titles, fmt.Sprintf("%q: %q", w.id, w.what))
	}
	fmt.Printf(`{"subject": %q, "version": %q, "idle_policy": %q, `, s.name, version(), s.idlePolicy)
	fmt.Printf(`"idle_modes": [%q], "works": [%s], "titles": {%s}}`+"\n",
		idleMode, strings.Join(ids, ", "), strings.Join(titles, ", "))
}

func help() {
	fmt.Printf("usage: %s --work ID [options], or --describe; prints one JSON object a line\n", program)
	fmt.Print("  --subject NAME   go_channel or go_goroutine, where the program's own name does not say it\n" +
		"  --work ID        what to do (below)\n" +
		"  --idle MODE      only default\n" +
		"  --cpus A,B,...   where to run; default: every cpu that this process may use\n" +
		"  --seconds S      how long to measure; works that count jobs do as many as fit into it\n" +
		"  --jobs N         how many jobs, in works that count them\n" +
		"  --workers N      instead of the work's own number\n" +
		"  --seed N         of the random arrivals and service times, default 1\n" +
		"  --patience S     so long without any progress means that a job is lost, default 20\n" +
		"  --periodic       with B1b: the same as --work B1b-periodic\n" +
		"  --describe       what this program is and can, as JSON\n" +
		"Exit code: 0 done, 1 failed, 2 usage, 77 this program cannot do that work or mode.\nworks:\n")
	for _, w := range works {
		if w.kind != kindCannot {
			fmt.Printf("  %-14s %s\n", w.id, w.what)
		}
	}
}

func parse() *run {
	var subjectName, id, idle, cpus, seconds, jobs, workers, seed, patience string
	var periodic, wantDescribe bool
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for name, to := range map[string]*string{"subject": &subjectName, "work": &id, "idle": &idle, "cpus": &cpus,
		"seconds": &seconds, "jobs": &jobs, "workers": &workers, "seed": &seed, "patience": &patience} {
		flags.StringVar(to, name, "", "")
	}
	flags.BoolVar(&periodic, "periodic", false, "")
	flags.BoolVar(&wantDescribe, "describe", false, "")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		help()
		os.Exit(0)
	} else if err != nil {
		refuse(exitUsage, "%v; see --help", err)
	} else if flags.NArg() > 0 {
		refuse(exitUsage, "'%s': no argument is expected here", flags.Arg(0))
	}
	r := &run{patience: 20, seed: 1}
	r.chooseSubject(subjectName)
	if wantDescribe {
		describe(r.subject)
		os.Exit(0)
	}
	if periodic && id == "B1b" {
		id = "B1b-periodic"
	} else if periodic {
		refuse(exitUsage, "--periodic: only with --work B1b")
	}
	r.chooseWork(id, idle)
	r.numbers(map[string]string{"seconds": seconds, "jobs": jobs, "workers": workers, "seed": seed,
		"patience": patience})
	r.cpus = parseCPUs(cpus)
	return r
}

func (r *run) chooseSubject(name string) {
	if name == "" {
		name = strings.TrimPrefix(program, "subject_")
	}
	for _, s := range subjects {
		if s.name == name {
			r.subject = s
			return
		}
	}
	refuse(exitUsage, "--subject: '%s': want go_channel or go_goroutine", name)
}

func (r *run) chooseWork(id, idle string) {
	if id == "" {
		refuse(exitUsage, "--work: which? See --help")
	}
	for _, w := range works {
		if w.id == id {
			r.work = w
		}
	}
	if r.work.id == "" {
		refuse(exitUsage, "--work: '%s': no such work; see --help", id)
	}
	if idle == "" {
		idle = idleMode
	}
	if r.work.kind == kindCannot || idle != idleMode {
		refuse(exitCannot, "%s in mode %s: cannot do that", id, idle)
	}
	r.workers, r.producers = r.work.workers, r.work.producers
	r.seconds, r.jobs = r.work.seconds, r.work.jobs
}

func (r *run) numbers(given map[string]string) {
	if s := given["workers"]; s != "" {
		r.workers = int(number("workers", s, 1, workersMax, true))
	}
	if s := given["seed"]; s != "" {
		r.seed = uint64(number("seed", s, 0, 1e15, true))
	}
	if s := given["patience"]; s != "" {
		r.patience = number("patience", s, 0.1, secondsMax, false)
	}
	if s := given["seconds"]; s != "" {
		r.seconds, r.jobs = number("seconds", s, 1e-3, secondsMax, false), 0
	}
	if s := given["jobs"]; s != "" {
		r.jobs = uint64(number("jobs", s, 1, jobsMax, true))
	}
}

func main() {
	readAllowed()
	runtime.LockOSThread() // once, unpinned: the runtime then has a thread that starts others for locked threads
	runtime.UnlockOSThread()
	r := parse()
	r.layOut()
	setupClock()
	runtime.GOMAXPROCS(2)
	r.pingpong = pingpongNs(r.cpus[0], r.workerCPU[r.workers-1])
	do := []func(*run) bool{kindLatency: runLatency, kindThroughput: runThroughput, kindTree: runTree, kindOpen: runOpen}
	if !do[r.work.kind](r) {
		os.Exit(1)
	}
	r.pingpongAfter = pingpongNs(r.cpus[0], r.workerCPU[r.workers-1])
	if err := r.printRows(); err != nil {
		refuse(1, "%v", err)
	}
}
