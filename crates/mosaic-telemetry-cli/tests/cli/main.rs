//! The program as people, scripts and coding agents call it.

mod commands;
mod home;
mod hook;
