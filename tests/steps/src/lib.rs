//! Counts the instructions that a piece of a program takes: the same for the same program and input,
//! whatever else the machine is doing, and with nothing installed.
//!
//! The program to be counted calls [`region`] around each piece, after [`begin`]. Who wants the counts
//! starts it with [`count`], which takes the program through its regions in single steps. Started by
//! anybody else, the program runs as ever.
//!
//! What the processor can decides how the C library copies, so the program is told that it can little
//! (glibc's tunables). Instructions of the calling thread alone are counted, in user mode; a system
//! call is one. Copying by `rep movs` counts each repetition. A step takes microseconds, so a region is
//! to be short.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::{begin, count, region};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::process::Command;

    /// Does nothing here.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn begin() -> Result<(), String> {
        Ok(())
    }

    /// Calls `piece`.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn region<T>(piece: impl FnOnce() -> T) -> Result<T, String> {
        Ok(piece())
    }

    /// Counts nothing here.
    ///
    /// # Errors
    ///
    /// Always: it takes Linux.
    pub fn count(_: &mut Command) -> Result<Vec<u64>, String> {
        Err("instructions are counted on Linux only".into())
    }
}

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{begin, count, region};
