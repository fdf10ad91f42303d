//! How much of everything: quick, usual, full.

/// Counts of one run of the whole program.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: &'static str,
    pub seed: u64,
    /// How often short measurements are repeated; the median counts.
    pub runs: usize,
    /// Events of one bulk run; a multiple of 3,000.
    pub bulk_events: usize,
    /// Events of one run of single events, for us and for PostgreSQL.
    pub single_events: usize,
    pub single_rows: usize,
    /// Sizes at which pages, start-up, memory, disk and verification are measured, ascending.
    pub sizes: Vec<u64>,
    /// Pages read at each size, for us and for PostgreSQL.
    pub pages: u64,
    pub pages_rows: u64,
}

impl Plan {
    /// About two minutes: to see that everything works.
    pub fn quick(seed: u64) -> Plan {
        Plan {
            name: "quick",
            seed,
            runs: 1,
            bulk_events: 90_000,
            single_events: 30_000,
            single_rows: 10_000,
            sizes: vec![10_000, 100_000],
            pages: 500,
            pages_rows: 200,
        }
    }

    /// About six minutes: to compare.
    pub fn usual(seed: u64) -> Plan {
        Plan {
            name: "default",
            seed,
            runs: 3,
            bulk_events: 300_000,
            single_events: 150_000,
            single_rows: 40_000,
            sizes: vec![10_000, 100_000, 1_000_000],
            pages: 3_000,
            pages_rows: 600,
        }
    }

    /// As usual, and on to ten million events.
    pub fn full(seed: u64) -> Plan {
        let mut plan = Plan::usual(seed);
        plan.name = "full";
        plan.sizes.push(10_000_000);
        plan
    }

    /// How many different events all of it needs.
    pub fn samples(&self) -> usize {
        self.bulk_events.max(self.single_events).max(self.single_rows)
    }
}
