//! What the load generator and the criterion benchmarks share.

pub mod trace;
