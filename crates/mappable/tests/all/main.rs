//! The rules of mapping, shown on components: one module for each topic, one test for each rule and each way of
//! mapping.

#[cfg(target_os = "linux")]
mod address_space;
mod artifacts;
mod book;
mod core_modules;
#[cfg(target_os = "linux")]
mod exported;
#[cfg(target_os = "linux")]
mod file_bytes;
mod files;
mod fixed;
mod frozen;
mod frozen_warm;
mod gate;
#[cfg(target_os = "linux")]
mod grown_files;
mod growth;
mod handover;
mod hostile;
mod huge;
mod idle;
#[cfg(target_os = "linux")]
mod ipc;
#[cfg(target_os = "linux")]
mod ipc_closing;
#[cfg(target_os = "linux")]
mod ipc_owners;
#[cfg(target_os = "linux")]
mod ipc_threads;
mod ledger;
mod lengths;
mod limits;
mod mapping;
mod misuse;
mod moved;
mod next_engine;
mod parts;
mod private;
mod private_mappings;
mod settings;
mod snapshots;
mod stages;
mod stale_handles;
mod streams;
mod threat_model;
mod told;
mod tripwires;
mod typed;
mod wit;
mod workers;

use mappable_testing::{image, support, wat};
