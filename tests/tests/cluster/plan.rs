//! What goes wrong, and when.

use std::fmt;
use std::time::Duration;

use crate::dice::Dice;

/// How long clients act and things go wrong.
pub(crate) const TROUBLE: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    pub(crate) clients: usize,
    pub(crate) docs: usize,
    pub(crate) faults: Vec<(Duration, Fault)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A node dies; it is another one when it starts again.
    Crash { node: usize, down: Duration },
    /// A node loses its relay for a while.
    CutOff { node: usize, lasts: Duration },
    /// Two nodes do not hear each other for a while, and are not told.
    Partition { nodes: (usize, usize), lasts: Duration },
    /// For a while so many messages of a thousand are lost: with and without a word. The others may overtake each other.
    Storm { missed: u32, lost: u32, lasts: Duration },
    /// For a while a node's calls of the store take this long.
    Slow { node: usize, latency: Duration, lasts: Duration },
    /// For a while a node's appends fail, though some of them are stored.
    Failing { node: usize, lasts: Duration },
    /// A log is replaced by a snapshot.
    Compact { doc: usize },
}

impl Plan {
    pub(crate) fn draw(seed: u64) -> Self {
        let dice = &mut Dice::new(seed ^ 0x0070_6c61_6e00);
        let nodes = 2 + dice.below(3);
        let count = dice.below(9);
        let mut faults: Vec<_> =
            (0..count).map(|_| (dice.ms(500, 14_000), Fault::draw(dice, nodes))).collect();
        faults.sort_by_key(|(at, _)| *at);
        Self { nodes, clients: 2 + dice.below(5), docs: 1 + dice.below(2), faults }
    }
}

impl Fault {
    fn draw(dice: &mut Dice, nodes: usize) -> Self {
        let node = dice.below(nodes);
        let lasts = dice.ms(200, 8_000);
        match dice.below(9) {
            0 | 1 => Self::Crash { node, down: dice.ms(100, 5_000) },
            2 => Self::CutOff { node, lasts },
            3 => Self::Partition { nodes: (node, (node + 1 + dice.below(nodes - 1)) % nodes), lasts },
            4 | 5 => {
                let (missed, lost) = (dice.below(500), dice.below(500));
                let per_mille = |number| u32::try_from(number).expect("it is below 500");
                Self::Storm { missed: per_mille(missed), lost: per_mille(lost), lasts }
            }
            6 => Self::Slow { node, latency: dice.ms(100, 3_000), lasts },
            7 => Self::Failing { node, lasts },
            _ => Self::Compact { doc: dice.below(2) },
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} nodes, {} clients, {} documents", self.nodes, self.clients, self.docs)?;
        self.faults.iter().try_for_each(|(at, fault)| writeln!(f, "at {at:?}: {fault:?}"))
    }
}
