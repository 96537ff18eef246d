//! The key goes to the server, in the header of a report, and nowhere else. `docs/security.md` says
//! what is defended, and by which test it is shown.

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
