//! A bounded memory of shared things, by least recent use.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Keeps values up to a total weight; when it is passed, the least recently used are dropped down to three quarters.
pub(crate) struct Cache<K, V: ?Sized> {
    weight_max: usize,
    held: Mutex<Held<K, V>>,
}

struct Held<K, V: ?Sized> {
    entries: HashMap<K, Entry<V>>,
    weight: usize,
    /// Rises with each use.
    now: u64,
}

struct Entry<V: ?Sized> {
    value: Arc<V>,
    weight: usize,
    used: u64,
}

impl<K: Hash + Eq + Copy, V: ?Sized> Cache<K, V> {
    pub(crate) fn new(weight_max: usize) -> Cache<K, V> {
        Cache { weight_max, held: Mutex::new(Held { entries: HashMap::new(), weight: 0, now: 0 }) }
    }

    pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
        let mut held = self.held.lock();
        held.now += 1;
        let now = held.now;
        let entry = held.entries.get_mut(key)?;
        entry.used = now;
        Some(Arc::clone(&entry.value))
    }

    pub(crate) fn put(&self, key: K, value: Arc<V>, weight: usize) {
        let mut held = self.held.lock();
        held.now += 1;
        let used = held.now;
        if let Some(before) = held.entries.insert(key, Entry { value, weight, used }) {
            held.weight -= before.weight;
        }
        held.weight += weight;
        if held.weight > self.weight_max {
            held.shrink(self.weight_max / 4 * 3);
        }
    }

    /// Drops every value whose key is meant.
    pub(crate) fn remove_if(&self, is_meant: impl Fn(&K) -> bool) {
        let mut held = self.held.lock();
        let mut weight = 0;
        held.entries.retain(|key, entry| {
            let meant = is_meant(key);
            weight += if meant { entry.weight } else { 0 };
            !meant
        });
        held.weight -= weight;
    }

    /// The value of this key, made if it is not there. Two callers may make the same one at once.
    pub(crate) fn get_or_make<E>(
        &self,
        key: K,
        make: impl FnOnce() -> Result<(Arc<V>, usize), E>,
    ) -> Result<Arc<V>, E> {
        if let Some(value) = self.get(&key) {
            return Ok(value);
        }
        let (value, weight) = make()?;
        self.put(key, Arc::clone(&value), weight);
        Ok(value)
    }
}

impl<K: Hash + Eq + Copy, V: ?Sized> Held<K, V> {
    fn shrink(&mut self, weight_max: usize) {
        let mut by_use: Vec<(u64, K)> = self.entries.iter().map(|(key, entry)| (entry.used, *key)).collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in by_use {
            if self.weight <= weight_max {
                break;
            }
            if let Some(entry) = self.entries.remove(&key) {
                self.weight -= entry.weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_the_weight_is_kept() {
        let cache: Cache<u32, u32> = Cache::new(10);
        for key in 0..10 {
            cache.put(key, Arc::new(key), 1);
        }
        assert!(cache.get(&0).is_some());
        cache.put(10, Arc::new(10), 1);
        assert!(cache.get(&0).is_some(), "it was used");
        assert!(cache.get(&1).is_none());
        assert!(cache.held.lock().weight <= 10);
        cache.put(10, Arc::new(10), 1);
        cache.remove_if(|key| *key == 10);
        assert!(cache.get(&10).is_none());
        let held = cache.held.lock();
        assert_eq!(held.weight, held.entries.len());
    }
}
