//! The program as people, scripts and coding agents call it.

mod ccusage;
mod commands;
mod config;
mod home;
mod hook;
mod killed;
