//! The key goes to the server, in the header of a report, and nowhere else, except for ureq's
//! log at TRACE: the guarantees of `docs/security.md`.

mod authority;
mod captured;
mod clients;
mod forms;
mod second_host;
mod servers;
mod shown;
mod spellings;
mod tls;
mod tunnels;
