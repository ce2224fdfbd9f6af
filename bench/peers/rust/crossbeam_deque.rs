//! A work-stealing pool made of crossbeam-deque, the usual way, as a subject of the benches: a deque per worker (last
//! in, first out), one injector for jobs from outside, which a worker takes from in batches, and stealing from the
//! other workers.
//!
//! Sleeping: a worker that found nothing for a while counts itself as asleep and looks once more, both under the lock,
//! before it waits. submit looks at that count after its push with a full fence between, so either it sees the sleeper
//! or the sleeper sees the job. spawn needs no fence: that worker itself runs what is in its deque, at the latest.
//!
//! SPDX-License-Identifier: MIT
mod subject;

use crossbeam_deque::{Injector, Steal, Stealer, Worker};
use crossbeam_utils::{Backoff, CachePadded};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{fence, AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use subject::{Job, Pool, Setup};

thread_local! {
	/// The deque of the worker whose thread this is.
	static OWN: Cell<*const Worker<Job>> = Cell::new(ptr::null());
}

struct Shared {
	injector: Injector<Job>,
	stealers: Vec<Stealer<Job>>,
	asleep: CachePadded<AtomicUsize>,
	stop: AtomicBool,
	lock: Mutex<()>,
	wake: Condvar,
	poll: bool,
}

impl Shared {
	fn find(&self, own: &Worker<Job>) -> Option<Job> {
		own.pop().or_else(|| loop {
			let got = self.injector.steal_batch_and_pop(own);
			let got = got.or_else(|| self.stealers.iter().map(|s| s.steal()).collect::<Steal<Job>>());
			if !got.is_retry() {
				return got.success();
			}
		})
	}

	fn is_empty(&self) -> bool {
		self.injector.is_empty() && self.stealers.iter().all(|s| s.is_empty())
	}

	fn wake_one(&self) {
		drop(self.lock.lock().expect("no panic under the lock"));
		self.wake.notify_one();
	}

	/// Waits until there may be work; false when the pool stops.
	fn sleep(&self) -> bool {
		let mut guard = self.lock.lock().expect("no panic under the lock");
		self.asleep.fetch_add(1, Ordering::SeqCst);
		fence(Ordering::SeqCst);
		while self.is_empty() && !self.stop.load(Ordering::Relaxed) {
			guard = self.wake.wait(guard).expect("no panic under the lock");
		}
		self.asleep.fetch_sub(1, Ordering::SeqCst);
		!self.stop.load(Ordering::Relaxed)
	}

	fn work(&self, own: &Worker<Job>) {
		let backoff = Backoff::new();
		OWN.with(|cell| cell.set(own));
		loop {
			if let Some(job) = self.find(own) {
				job.run();
				backoff.reset();
			} else if self.poll {
				if self.stop.load(Ordering::Relaxed) {
					return;
				}
				std::hint::spin_loop();
			} else if !backoff.is_completed() {
				backoff.snooze();
			} else if !self.sleep() {
				return;
			} else {
				backoff.reset();
			}
		}
	}
}

struct Deque {
	shared: Arc<Shared>,
	threads: Vec<JoinHandle<()>>,
}

impl Pool for Deque {
	fn open(setup: Setup) -> Result<Self, String> {
		let deques: Vec<Worker<Job>> = (0..setup.workers).map(|_| Worker::new_lifo()).collect();
		let shared = Arc::new(Shared {
			injector: Injector::new(),
			stealers: deques.iter().map(Worker::stealer).collect(),
			asleep: CachePadded::new(AtomicUsize::new(0)),
			stop: AtomicBool::new(false),
			lock: Mutex::new(()),
			wake: Condvar::new(),
			poll: setup.idle == "poll",
		});
		let mut pool = Deque { shared, threads: Vec::new() };
		for (worker, own) in deques.into_iter().enumerate() {
			let cpus = setup.cpus.clone();
			let shared = pool.shared.clone();
			let thread = std::thread::Builder::new().spawn(move || {
				subject::pin(&cpus, worker);
				shared.work(&own)
			});
			let thread = thread.map_err(|e| format!("crossbeam: worker {} did not start: {}", worker, e))?;
			pool.threads.push(thread);
		}
		Ok(pool)
	}

	fn submit(&self, job: Job) {
		self.shared.injector.push(job);
		fence(Ordering::SeqCst);
		if self.shared.asleep.load(Ordering::Relaxed) > 0 {
			self.shared.wake_one();
		}
	}

	fn spawn(&self, job: Job) {
		let own = OWN.with(Cell::get);
		if own.is_null() {
			return self.submit(job);
		}
		// The worker whose thread this is outlives the job that runs on it.
		unsafe { (*own).push(job) };
		if self.shared.asleep.load(Ordering::Relaxed) > 0 {
			self.shared.wake_one();
		}
	}
}

impl Drop for Deque {
	fn drop(&mut self) {
		self.shared.stop.store(true, Ordering::Relaxed);
		drop(self.shared.lock.lock().expect("no panic under the lock"));
		self.shared.wake.notify_all();
		for thread in self.threads.drain(..) {
			thread.join().expect("a worker does not panic");
		}
	}
}

export_subject!(
	Deque,
	subject::text("crossbeam_deque\0"),
	"default: a worker tries 11 times (127 pauses, 4 yields), then waits on a condvar; poll: it spins for ever",
	["default", "poll"]
);
