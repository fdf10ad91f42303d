//! Low processor priority for what can wait: indexing, and whoever feeds it.

/// How far below normal. At this a machine that is busy with appends gives them nine tenths of itself and the index the
/// rest, so that a burst is taken in first and indexed when it is over.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work`, on a thread of low priority if `background` asks for it and the system has such threads. On Linux
/// niceness belongs to the thread and is inherited by the threads it starts: tantivy starts its own while a writer is
/// made and while it commits.
pub(super) fn run<T: Send>(background: bool, work: impl FnOnce() -> T + Send) -> T {
    if !background {
        return work();
    }
    std::thread::scope(|scope| {
        let done = scope.spawn(|| {
            lower();
            work()
        });
        done.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Lowers the priority of this thread for the rest of its life, where the system has such threads (Linux).
pub fn lower() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "index threads keep normal priority");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn only_threads_asked_for_and_those_they_start_are_low() {
        let own = || rustix::process::getpriority_process(None).expect("a thread may ask for its own priority");
        let before = own();
        let inherited = super::run(true, || std::thread::spawn(own).join().expect("it does not panic"));
        assert_eq!(inherited, super::NICENESS);
        assert_eq!(super::run(false, own), before);
        assert_eq!(own(), before);
    }
}
