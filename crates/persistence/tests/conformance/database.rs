//! What PostgreSQL has of its own: rows instead of records, several nodes, and a network in between.

mod damage;
mod faults;
mod nodes;
mod opening;
