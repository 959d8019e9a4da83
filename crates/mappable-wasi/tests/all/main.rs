//! `mappable:files` as components see it: one guest, of both versions of WASI, that asks for what the test says.

#![cfg(target_os = "linux")]

mod answers;
mod guest;
mod holding;
mod wit;
