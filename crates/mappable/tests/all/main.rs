//! The rules of mapping, shown on components: one module for each topic, one test for each rule and each way of
//! mapping.

mod differential;
mod gate;
mod handover;
mod limits;
mod mapping;
mod settings;
mod stages;
mod support;
mod tripwires;
mod wat;
mod wit;
