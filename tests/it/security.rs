//! The API key goes to the server in the header of a batch, and nowhere else.

mod debug;
mod logs;
mod runs;
mod search;
mod second_host;
pub(crate) mod servers;
mod spellings;
mod tls;
mod tunnels;
