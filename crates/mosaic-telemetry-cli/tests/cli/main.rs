//! The program as people, scripts and coding agents call it.

mod ccusage;
mod commands;
mod config;
#[cfg(target_os = "linux")]
mod harnesses;
mod home;
mod hook;
mod killed;
