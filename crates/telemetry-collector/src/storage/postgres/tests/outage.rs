//! Lost connections.
