//! bench/harness/subject.h as Rust sees it. A peer implements `Pool` and calls `export_subject!` once; its crate is
//! built as a static library, which defines the one C symbol `bench_subject` and is linked to the harness. Used by the
//! other files of this folder.
//!
//! SPDX-License-Identifier: MIT
use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_uint, c_void};

pub type BenchFn = unsafe extern "C" fn(*mut c_void);

/// One call of the harness's function: what travels through the peer's queue, by value.
#[derive(Clone, Copy)]
pub struct Job {
	func: BenchFn,
	arg: *mut c_void,
}

// The harness hands `arg` over with the job and lets any thread run it.
unsafe impl Send for Job {}

impl Job {
	#[inline(always)]
	pub fn run(self) {
		unsafe { (self.func)(self.arg) }
	}
}

/// struct bench_setup.
#[repr(C)]
pub struct RawSetup {
	workers: c_uint,
	idle: *const c_char,
	cpus: *const c_int,
	ncpus: c_uint,
}

/// The same, owned.
pub struct Setup {
	pub workers: usize,
	pub idle: String,
	pub cpus: Vec<c_int>,
}

impl Setup {
	unsafe fn read(raw: *const RawSetup) -> Setup {
		let raw = &*raw;
		let workers = (raw.workers as usize).max(1);
		let mut setup = Setup { workers, idle: "default".into(), cpus: Vec::new() };
		if !raw.idle.is_null() {
			setup.idle = CStr::from_ptr(raw.idle).to_string_lossy().into_owned();
		}
		if !raw.cpus.is_null() {
			setup.cpus.extend_from_slice(std::slice::from_raw_parts(raw.cpus, raw.ncpus as usize));
		}
		setup
	}
}

extern "C" {
	fn bench_pin(cpus: *const c_int, n: c_uint) -> c_int;
}

/// Pins the calling thread, the worker of this number, to its cpu. A refusal is said: the figures are not comparable.
pub fn pin(cpus: &[c_int], worker: usize) {
	if cpus.is_empty() {
		return;
	}
	let cpu = cpus[worker % cpus.len()];
	if unsafe { bench_pin(&cpu, 1) } != 0 {
		eprintln!("bench: worker {} cannot be pinned to cpu {}", worker, cpu);
	}
}

/// What a peer is to the harness. submit: any outside thread. spawn: from inside a job. Dropping it stops it, after
/// all jobs ended.
pub trait Pool: Sized {
	fn open(setup: Setup) -> Result<Self, String>;
	fn submit(&self, job: Job);
	fn spawn(&self, job: Job) {
		self.submit(job)
	}
}

/// struct bench_subject; the order of the fields is that of the header.
#[repr(C)]
pub struct Subject {
	pub name: *const c_char,
	pub version: extern "C" fn() -> *const c_char,
	pub idle_policy: *const c_char,
	pub idle_modes: *const *const c_char,
	pub open: unsafe extern "C" fn(*const RawSetup) -> *mut c_void,
	pub submit: unsafe extern "C" fn(*mut c_void, BenchFn, *mut c_void),
	pub submit_batch: Option<unsafe extern "C" fn(*mut c_void, BenchFn, *const *mut c_void, c_uint)>,
	pub spawn: Option<unsafe extern "C" fn(*mut c_void, BenchFn, *mut c_void)>,
	pub thread_enter: Option<unsafe extern "C" fn(*mut c_void)>,
	pub thread_leave: Option<unsafe extern "C" fn(*mut c_void)>,
	pub close: unsafe extern "C" fn(*mut c_void),
}

// Constant after linking.
unsafe impl Sync for Subject {}

/// A NULL-terminated list of C strings.
pub struct Names<const N: usize>(pub [*const c_char; N]);

unsafe impl<const N: usize> Sync for Names<N> {}

/// A C string; the literal ends with its NUL.
pub const fn text(s: &'static str) -> *const c_char {
	s.as_ptr() as *const c_char
}

pub unsafe extern "C" fn open<P: Pool>(raw: *const RawSetup) -> *mut c_void {
	match P::open(Setup::read(raw)) {
		Ok(pool) => Box::into_raw(Box::new(pool)) as *mut c_void,
		Err(why) => {
			eprintln!("bench: {}", why);
			std::ptr::null_mut()
		}
	}
}

pub unsafe extern "C" fn submit<P: Pool>(pool: *mut c_void, func: BenchFn, arg: *mut c_void) {
	(*(pool as *const P)).submit(Job { func, arg })
}

pub unsafe extern "C" fn spawn<P: Pool>(pool: *mut c_void, func: BenchFn, arg: *mut c_void) {
	(*(pool as *const P)).spawn(Job { func, arg })
}

pub unsafe extern "C" fn close<P: Pool>(pool: *mut c_void) {
	drop(Box::from_raw(pool as *mut P))
}

/// Defines the C symbol: (pool, name, idle policy, idle modes). The version is that of the library which the build
/// pinned and linked, then the compiler's.
#[macro_export]
macro_rules! export_subject {
	($pool:ty, $name:expr, $policy:literal, [$($mode:literal),+]) => {
		static IDLE_MODES: subject::Names<{ [$($mode),+].len() + 1 }> =
			subject::Names([$(concat!($mode, "\0").as_ptr().cast(),)+ std::ptr::null()]);

		extern "C" fn version() -> *const std::os::raw::c_char {
			concat!(env!("SHUNT_PEER_VERSION"), "\0").as_ptr().cast()
		}

		#[no_mangle]
		#[allow(non_upper_case_globals)]
		pub static bench_subject: subject::Subject = subject::Subject {
			name: $name,
			version,
			idle_policy: concat!($policy, "\0").as_ptr().cast(),
			idle_modes: IDLE_MODES.0.as_ptr(),
			open: subject::open::<$pool>,
			submit: subject::submit::<$pool>,
			submit_batch: None,
			spawn: Some(subject::spawn::<$pool>),
			thread_enter: None,
			thread_leave: None,
			close: subject::close::<$pool>,
		};
	};
}
