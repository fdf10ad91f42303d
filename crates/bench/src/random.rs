//! Seeded numbers: the same seed gives the same events and the same positions, on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014). Good enough to look like traffic; nothing here is secret.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0. The bias of the multiplication is far below anything measured here.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// Ranks 0..n, rank r drawn with weight 1/(r+1): few users do most of the work.
pub struct Zipf {
    cumulative: Vec<u64>,
}

impl Zipf {
    pub fn new(ranks: usize) -> Zipf {
        let mut sum = 0;
        let cumulative = (0..ranks as u64)
            .map(|rank| {
                sum += 1_000_000_000 / (rank + 1);
                sum
            })
            .collect();
        Zipf { cumulative }
    }

    pub fn draw(&self, random: &mut Random) -> usize {
        let total = *self.cumulative.last().expect("there is at least one rank");
        let at = random.below(total);
        self.cumulative.partition_point(|&sum| sum <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rank_is_drawn_about_twice_as_often_as_the_second() {
        let (zipf, mut random) = (Zipf::new(100), Random::new(1));
        let mut counts = [0u32; 100];
        for _ in 0..100_000 {
            counts[zipf.draw(&mut random)] += 1;
        }
        let ratio = f64::from(counts[0]) / f64::from(counts[1]);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
        assert!(counts[99] > 0);
    }
}
