//! The engine's compute threads: all cores by default, at a lower priority than the window.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

/// About niceness 10 on Unix: the window's thread is always scheduled first.
const PRIORITY: u8 = 25;

/// Builds the pool; `threads` 0 means one per core.
///
/// # Errors
/// When the operating system refuses to start the threads.
pub fn compute_pool(threads: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("compute-{i}"))
        .start_handler(|_| lower_priority())
        .build()
}

/// Lowers the calling thread's priority; a system that refuses is only slower to repaint.
pub fn lower_priority() {
    if let Ok(value) = ThreadPriorityValue::try_from(PRIORITY)
        && let Err(error) = set_current_thread_priority(ThreadPriority::Crossplatform(value))
    {
        log::debug!("thread priority stays as it is: {error:?}");
    }
}
