//! `mappable serve`.

mod bodies;
mod clients;
mod requests;
mod server;
