//! Counts the instructions of a piece of a program: the same for the same program and input, however
//! busy the machine is, and without any tool.
//!
//! The program calls [`begin`] and then [`region`] around each piece; [`count`] starts it and takes its
//! regions in single steps. Started in another way, the program runs as usual.
//!
//! Counted are instructions of the calling thread in user mode; a system call is one, and so is each
//! repetition of `rep movs`. A step takes about 10 µs. Since the C library selects how to copy by the
//! processor's features, glibc's tunables hide most of them.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::{begin, count, region};

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{begin, count, region};

/// The same functions without counts.
#[cfg(not(target_os = "linux"))]
#[expect(missing_docs, reason = "as on Linux")]
#[expect(clippy::missing_errors_doc, reason = "as on Linux")]
mod elsewhere {
    use std::process::Command;

    pub fn begin() -> Result<(), String> {
        Ok(())
    }

    pub fn region<T>(piece: impl FnOnce() -> T) -> Result<T, String> {
        Ok(piece())
    }

    pub fn count(_: &mut Command) -> Result<Vec<u64>, String> {
        Err("instructions are counted on Linux only".into())
    }
}
