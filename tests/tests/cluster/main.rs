//! Several nodes over one store, in virtual time: rooms and their gossip, a store and a relay in memory, clients that edit, move and
//! vanish, and a plan of what goes wrong. Everything follows from a seed. `QUIRE_SEEDS` says how many seeds are tried, and
//! `QUIRE_SEED` the first one.
//!
//! Whenever a client is told that its edit is stored, the store has it, with what it builds on. In the end, when everything has been
//! healed and a while has passed, the store, every room and every client hold the same, nothing is unconfirmed, and everybody sees exactly those
//! who are there.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail in any line")]

mod client;
mod dice;
mod driver;
mod node;
mod plan;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use plan::Plan;
use world::World;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn nodes_agree_and_lose_nothing_confirmed_whatever_goes_wrong() {
    let first = number("QUIRE_SEED", 1);
    let (mut confirmed, mut crashes) = (0, 0);
    for seed in first..first + number("QUIRE_SEEDS", 200) {
        let plan = Plan::draw(seed);
        let run = catch_unwind(AssertUnwindSafe(|| World::new(seed, &plan).run()));
        match run {
            Ok(tally) => {
                confirmed += tally.confirmed;
                crashes += tally.crashes;
            }
            Err(panic) => {
                println!("QUIRE_SEED={seed} QUIRE_SEEDS=1 fails with this plan:\n{plan}");
                resume_unwind(panic);
            }
        }
    }
    println!("{confirmed} edits confirmed, {crashes} crashes");
    assert!(confirmed > 0);
}
