//! A room, the host that drives it, and its clients.
//!
//! [`plan`] is what happens, [`host`] carries it out as a server does, [`client`] holds what one session was sent.

mod client;
mod host;
mod plan;

use arbitrary::{Arbitrary, Unstructured};

use host::Host;
use plan::Plan;

/// Whatever clients send and whenever: outputs go to sessions there were, tickets ascend, nobody is told that an edit is stored
/// before it is, and at rest every client that was brought up to date has what the room has.
pub fn room(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(plan) = Plan::arbitrary(&mut data) else { return };
    let told = Told(&plan);
    let mut host = Host::new(&plan);
    for step in plan.steps.iter().take(STEPS) {
        host.carry_out(step);
    }
    host.come_to_rest();
    drop(told);
}

/// So many steps of a plan are taken, at the most.
const STEPS: usize = 200;

/// Tells the plan if a law was broken by it.
struct Told<'a>(&'a Plan<'a>);

impl Drop for Told<'_> {
    #[expect(clippy::print_stderr, reason = "only when a test fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the plan: {:#?}", self.0);
        }
    }
}
