//! Streams and futures of regions: when an element is handed over, and that no end that is abandoned leaves anything.

mod cancel;
mod channels;
mod ends;
mod meet;
mod misuse;
mod producers;
mod programs;
mod tasks;
mod waiting;
