//! `mappable serve`.

mod bodies;
mod requests;
mod server;
