//! Windows of a sum among threads.
//!
//! Windows are done in parallel. Where their number does not come out even for the threads, those that
//! are left over are cut into shares of the parts of the bases, each with buckets of its own, so that no
//! thread waits for a whole window. Whole windows are begun first.
//!
//! Invariant: each part of each window is in one share.

/// A window, or every `step`-th part of it from the `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) window: usize,
    first: usize,
    step: usize,
}

impl Share {
    /// Its parts among all.
    pub(crate) fn of<T>(self, parts: &[T]) -> impl Iterator<Item = &T> {
        parts.iter().skip(self.first).step_by(self.step)
    }
}

/// What is done in parallel, by window.
pub(crate) fn shares(windows: usize, threads: usize) -> Vec<Share> {
    let left = windows % threads;
    let of_window = |window: usize| {
        let step = match window < windows - left {
            true => 1,
            false => threads.div_ceil(left),
        };
        (0..step).map(move |first| Share {
            window,
            first,
            step,
        })
    };
    (0..windows).flat_map(of_window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_every_window_is_in_one_share() {
        let parts: Vec<usize> = (0..130).collect();
        for windows in 1..45 {
            for threads in 1..70 {
                let mut seen = vec![vec![0; parts.len()]; windows];
                for share in shares(windows, threads) {
                    share
                        .of(&parts)
                        .for_each(|part| seen[share.window][*part] += 1);
                }
                assert!(seen.into_iter().flatten().all(|times| times == 1));
            }
        }
        assert_eq!(shares(20, 2).len(), 20);
        assert_eq!(shares(19, 2).len(), 18 + 2);
        assert_eq!(shares(3, 16).len(), 3 * 6);
    }
}
