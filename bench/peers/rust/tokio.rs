//! Tokio's multi-thread runtime as a subject of the benches: one task per job, started with Handle::spawn and not
//! awaited. From outside that is the runtime's shared queue, from inside a job the worker's own queue and its slot for
//! the newest task. No I/O or time driver.
//!
//! SPDX-License-Identifier: MIT
mod subject;

use std::sync::atomic::{AtomicUsize, Ordering};
use subject::{Job, Pool, Setup};
use tokio::runtime::{Builder, Handle, Runtime};

struct Tokio {
	handle: Handle,
	_runtime: Runtime,
}

impl Pool for Tokio {
	fn open(setup: Setup) -> Result<Self, String> {
		let Setup { workers, cpus, .. } = setup;
		let started = AtomicUsize::new(0);
		let runtime = Builder::new_multi_thread()
			.worker_threads(workers)
			.on_thread_start(move || subject::pin(&cpus, started.fetch_add(1, Ordering::Relaxed)))
			.build()
			.map_err(|e| format!("tokio: the runtime did not start: {}", e))?;
		Ok(Tokio { handle: runtime.handle().clone(), _runtime: runtime })
	}

	fn submit(&self, job: Job) {
		drop(self.handle.spawn(async move { job.run() }));
	}
}

export_subject!(
	Tokio,
	subject::text("tokio\0"),
	"a worker looks once through the others' queues, yields three times, then parks on a futex; it does not spin",
	["default"]
);
