//! The command as a user has it: the built binary on real files.

mod bus;
mod component;
mod compose;
mod demo;
mod errors;
mod help;
mod inspect;
mod map_files;
mod pipe;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod pipe_users;
mod preview1;
mod run;
mod serve;
mod stage_wasi;
mod support;
