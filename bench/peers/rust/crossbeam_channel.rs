//! crossbeam-channel with worker threads as a subject of the benches: every worker receives from the one channel.
//! Built twice: unbounded (a list of blocks), and with the feature "bounded" (a ring, whose sender waits while it is
//! full; a job that spawns could so wait for itself, which is why the bounded one does not do B4).
//!
//! SPDX-License-Identifier: MIT
mod subject;

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;
use subject::{Job, Pool, Setup};

const BOUNDED: bool = cfg!(feature = "bounded");
const CAPACITY: usize = 4096;

struct Channel {
	sender: Option<Sender<Job>>,
	threads: Vec<JoinHandle<()>>,
}

fn work(receiver: Receiver<Job>, poll: bool) {
	loop {
		let waited = || receiver.recv().map_err(|_| TryRecvError::Disconnected);
		match if poll { receiver.try_recv() } else { waited() } {
			Ok(job) => job.run(),
			Err(TryRecvError::Empty) => std::hint::spin_loop(),
			Err(TryRecvError::Disconnected) => return,
		}
	}
}

impl Channel {
	fn sender(&self) -> &Sender<Job> {
		self.sender.as_ref().expect("open until dropped")
	}
}

impl Pool for Channel {
	fn open(setup: Setup) -> Result<Self, String> {
		let (sender, receiver) =
			if BOUNDED { crossbeam_channel::bounded(CAPACITY) } else { crossbeam_channel::unbounded() };
		let mut channel = Channel { sender: Some(sender), threads: Vec::new() };
		for worker in 0..setup.workers {
			let receiver = receiver.clone();
			let cpus = setup.cpus.clone();
			let poll = setup.idle == "poll";
			let thread = std::thread::Builder::new().spawn(move || {
				subject::pin(&cpus, worker);
				work(receiver, poll)
			});
			let thread = thread.map_err(|e| format!("crossbeam: worker {} did not start: {}", worker, e))?;
			channel.threads.push(thread);
		}
		Ok(channel)
	}

	fn submit(&self, job: Job) {
		self.sender().send(job).expect("the workers receive until the sender is dropped");
	}
}

impl Drop for Channel {
	fn drop(&mut self) {
		drop(self.sender.take());
		for thread in self.threads.drain(..) {
			thread.join().expect("a worker does not panic");
		}
	}
}

/// Of subject.h too; the harness looks whether it is there.
#[cfg(feature = "bounded")]
#[no_mangle]
#[allow(non_upper_case_globals)]
pub static bench_cannot: subject::Names<2> = subject::Names([subject::text("B4\0"), std::ptr::null()]);

export_subject!(
	Channel,
	subject::text(if BOUNDED { "crossbeam_bounded\0" } else { "crossbeam_channel\0" }),
	"default: a receiver tries 11 times (127 pauses, 4 yields), then parks on a futex; poll: it spins for ever",
	["default", "poll"]
);
