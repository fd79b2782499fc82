//! The clock: what processors worked.

use std::fs::{read_dir, read_to_string};
use std::time::Duration;

use super::Result;

/// The time that a processor worked for it, of the threads of a process or of one.
pub(crate) fn cpu(whose: &str) -> Result<Duration> {
    let schedstat = |path: String| -> Result<u64> {
        let text = read_to_string(path)?;
        Ok(text.split_whitespace().next().ok_or("no schedstat")?.parse()?)
    };
    if whose == "thread-self" {
        return Ok(Duration::from_nanos(schedstat("/proc/thread-self/schedstat".to_owned())?));
    }
    let mut sum = 0;
    for thread in read_dir("/proc/self/task")? {
        // One that ends meanwhile is in no sum.
        sum += schedstat(format!("{}/schedstat", thread?.path().display())).unwrap_or_default();
    }
    Ok(Duration::from_nanos(sum))
}
