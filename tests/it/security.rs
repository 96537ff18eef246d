//! The API key goes to the server in the header of a batch, and nowhere else.

mod authority;
mod captured;
mod clients;
mod forms;
mod second_host;
pub(crate) mod servers;
mod shown;
mod spellings;
mod tls;
mod tunnels;
