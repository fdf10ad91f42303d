//! A store that fails on purpose: one call, chosen by its number, does not do what it should.

use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::{File, Store};

/// What goes wrong at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and does nothing.
    Before,
    /// It is done, and fails all the same.
    After,
    /// A write does the first half of its bytes and fails; other calls do nothing and fail.
    Half,
    /// The disk is full from here on: writes, and creations, do half or nothing and fail, until [`Plan::heal`].
    DiskFull,
    /// The process dies: this call does nothing, and neither does any later one; all fail.
    Death,
    /// The process dies half-way through a write.
    DeathHalf,
    /// The call does not return before [`Plan::heal`]; then it is done.
    Hang,
}

/// Wraps stores, counts their calls that change or open something, and makes one of them fail.
///
/// All stores made from one plan share its count, so that a call has one number however many stores there are.
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    plan: Arc<Plan>,
}

/// When to fail, and how.
pub struct Plan {
    state: Mutex<State>,
    healed: Condvar,
}

struct State {
    calls: u64,
    fail_at: u64,
    fault: Fault,
    dead: bool,
    full: bool,
    is_healed: bool,
    log: Vec<String>,
}

/// What a call shall do.
enum Act {
    Do,
    Fail,
    DoAndFail,
    HalfAndFail,
}

impl Plan {
    /// Call number `fail_at` (from 1) fails; 0 is never reached, so nothing fails.
    pub fn new(fail_at: u64, fault: Fault) -> Arc<Plan> {
        let state = State { calls: 0, fail_at, fault, dead: false, full: false, is_healed: false, log: Vec::new() };
        Arc::new(Plan { state: Mutex::new(state), healed: Condvar::new() })
    }

    /// Calls counted so far.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// What the calls were, in order: for saying which one failed.
    pub fn log(&self) -> Vec<String> {
        self.state.lock().log.clone()
    }

    /// Ends [`Fault::DiskFull`] and [`Fault::Hang`].
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.full = false;
        state.is_healed = true;
        self.healed.notify_all();
    }

    fn act(&self, call: &str, path: &str, takes_space: bool) -> Act {
        let mut state = self.state.lock();
        state.calls += 1;
        state.log.push(format!("{call} {path}"));
        if state.dead {
            return Act::Fail;
        }
        if state.calls != state.fail_at {
            return if state.full && takes_space { Act::HalfAndFail } else { Act::Do };
        }
        match state.fault {
            Fault::Before => Act::Fail,
            Fault::After => Act::DoAndFail,
            Fault::Half => Act::HalfAndFail,
            Fault::DiskFull => {
                state.full = true;
                if takes_space { Act::HalfAndFail } else { Act::Do }
            }
            Fault::Death => {
                state.dead = true;
                Act::Fail
            }
            Fault::DeathHalf => {
                state.dead = true;
                Act::HalfAndFail
            }
            Fault::Hang => {
                while !state.is_healed {
                    self.healed.wait(&mut state);
                }
                Act::Do
            }
        }
    }

    fn error(&self) -> io::Error {
        if self.state.lock().full {
            io::Error::new(io::ErrorKind::StorageFull, "no space left (injected)")
        } else {
            io::Error::other("injected fault")
        }
    }

    fn run<T>(&self, call: &str, path: &str, takes_space: bool, does: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.act(call, path, takes_space) {
            Act::Do => does(),
            Act::DoAndFail => does().and_then(|_| Err(self.error())),
            Act::Fail | Act::HalfAndFail => Err(self.error()),
        }
    }
}

impl FaultyStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn Store>, plan: &Arc<Plan>) -> FaultyStore {
        FaultyStore { inner, plan: Arc::clone(plan) }
    }

    fn wrap(&self, path: &str, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(FaultyFile { inner: file, plan: Arc::clone(&self.plan), path: path.to_owned() })
    }
}

struct FaultyFile {
    inner: Arc<dyn File>,
    plan: Arc<Plan>,
    path: String,
}

impl Store for FaultyStore {
    fn create(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let file = self.plan.run("create", path, true, || self.inner.create(path))?;
        Ok(self.wrap(path, file))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let file = self.plan.run("open", path, false, || self.inner.open(path))?;
        Ok(self.wrap(path, file))
    }

    fn open_read(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let file = self.plan.run("open_read", path, false, || self.inner.open_read(path))?;
        Ok(self.wrap(path, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.run("rename", from, false, || self.inner.rename(from, to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.plan.run("remove", path, false, || self.inner.remove(path))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.plan.run("list", dir, false, || self.inner.list(dir))
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.plan.run("create_dir", dir, true, || self.inner.create_dir(dir))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.plan.run("sync_dir", dir, false, || self.inner.sync_dir(dir))
    }

    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        self.inner.lock()
    }
}

impl File for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_exact_at(bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.plan.act("write", &self.path, true) {
            Act::Do => self.inner.write_all_at(bytes, offset),
            Act::DoAndFail => self.inner.write_all_at(bytes, offset).and_then(|()| Err(self.plan.error())),
            Act::Fail => Err(self.plan.error()),
            Act::HalfAndFail => {
                self.inner.write_all_at(&bytes[..bytes.len() / 2], offset)?;
                Err(self.plan.error())
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.plan.run("sync", &self.path, false, || self.inner.sync_data())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.plan.run("set_len", &self.path, false, || self.inner.set_len(len))
    }
}
