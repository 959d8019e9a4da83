//! The bus: in one process, between members that are connected by loopback, and between processes that may be killed.

mod guests;
mod guide;
mod hostile;
mod keys;
mod members;
mod namespaces;
mod nodes;
mod one_process;
mod processes;
mod support;
