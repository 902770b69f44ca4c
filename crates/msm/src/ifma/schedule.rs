//! Which points of a window are added to one another, and when.
//!
//! Each bucket has at most one *waiting* point: the sum of what came before, or a single base. A point that
//! comes to a bucket with one waiting is paired with it, and their sum comes to the bucket again in the next
//! *level*; else it waits itself. So a level has no point twice, all its additions are independent, whatever
//! the scalars are, and a bucket's points are added up as a tree. Levels with few additions are left to the
//! next part of the bases.
//!
//! Sums lie in the *slots* of a work space. A sum takes the slot of one of the two points, or a free one if
//! both are bases. A slot that becomes free is used again in the next level at the earliest.
//!
//! Nothing here looks at points: one schedule serves all sums with the same scalars.
//!
//! Invariant: slots of waiting and coming sums differ from one another and from the free ones. As an
//! infinite sum is never kept (`ifma::msm` puts the generator in its place), every slot in use has a finite
//! point.

use std::ops::Range;

use super::kernels::{INDEX, Job, NEGATIVE, NONE, WORK};

/// Slots after all others that fill up a level to eights: two points of different x, and their sum.
pub(crate) const SPARE: usize = 3;
/// Fewer additions are left to the next part.
const FEW: usize = 256;

pub(crate) fn small(number: usize) -> u32 {
    u32::try_from(number).expect("a part has fewer than 2^30 points")
}

/// Adds the spare points, of which the first has this number.
pub(crate) fn filler(spare: u32) -> Job {
    Job {
        left: WORK | spare,
        right: WORK | (spare + 1),
        out: spare + 2,
        bucket: 0,
    }
}

/// The schedule of a window, part by part.
pub(crate) struct Schedule {
    /// By magnitude of the digit: the reference of the point that waits, or [`NONE`].
    waiting: Vec<u32>,
    /// Slots that are not in use, after a first entry without meaning.
    free: Vec<u32>,
    /// Slots that are free from the next level on, at the front.
    freed: Vec<u32>,
    /// The additions of a part, level by level.
    jobs: Vec<Job>,
    /// Where each level ends, a multiple of eight.
    ends: Vec<usize>,
    /// Bases that wait at the end of a part, and the slots to put them into.
    copies: Vec<(u32, u32)>,
    /// Sums that are still to come to their buckets.
    left: Vec<(u32, u32)>,
    slots: usize,
}

impl Schedule {
    /// For digits of `width` bits and up to `part` points at a time.
    pub(crate) fn new(width: usize, part: usize) -> Self {
        let buckets = 1 << (width - 1);
        let slots = buckets + part / 2 + FEW;
        let mut out = Self {
            waiting: vec![NONE; buckets + 1],
            free: Vec::with_capacity(slots + 1),
            freed: vec![0; part + FEW + 1],
            jobs: Vec::new(),
            ends: Vec::new(),
            copies: Vec::new(),
            left: Vec::with_capacity(FEW),
            slots,
        };
        out.clear();
        out
    }

    /// Slots of the work space, without the spare ones that follow.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Number of the first spare slot.
    pub(crate) fn spare(&self) -> u32 {
        small(self.slots)
    }

    /// References of the sums by bucket, from the one of weight 1 on; [`NONE`] where there is no sum.
    pub(crate) fn buckets(&self) -> &[u32] {
        &self.waiting[1..]
    }

    /// Begins a new window.
    pub(crate) fn clear(&mut self) {
        self.waiting.fill(NONE);
        self.free.clear();
        self.free.push(0);
        self.free.extend((0..small(self.slots)).rev());
        self.left.clear();
    }

    /// The additions for bases and their digits, which are stored with `middle` added; everything that is
    /// left over if this is the last part.
    pub(crate) fn plan(&mut self, references: &[u32], digits: &[u16], middle: i32, last: bool) {
        self.ends.clear();
        self.copies.clear();
        let mut left = std::mem::take(&mut self.left);
        let points = left.len() + digits.len();
        let mut sums = self.level(0, points, |_, level| {
            for (bucket, reference) in &left {
                level.come(*bucket, *reference);
            }
            for (reference, digit) in references.iter().zip(digits) {
                let digit = i32::from(*digit) - middle;
                let negative = (digit >> 31).cast_unsigned();
                level.come(digit.unsigned_abs(), reference ^ (negative & NEGATIVE));
            }
        });
        left.clear();
        self.left = left;
        while sums.len() >= FEW || last && !sums.is_empty() {
            sums = self.level(self.jobs.len(), sums.len(), |earlier, level| {
                for Job { bucket, out, .. } in &earlier[sums] {
                    level.come(*bucket, WORK | out);
                }
            });
        }
        let left = self.jobs[sums]
            .iter()
            .map(|job| (job.bucket, WORK | job.out));
        self.left.extend(left);
        self.keep_bases();
    }

    /// The levels of the part: additions in eights.
    pub(crate) fn levels(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| start..end)
    }

    /// All additions of the part.
    pub(crate) fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// Bases to be copied after all additions, and the slots they go to.
    pub(crate) fn copies(&self) -> &[(u32, u32)] {
        &self.copies
    }

    /// Adds a level after `start` jobs for so many points, which `give` lets come; its additions.
    fn level(
        &mut self,
        start: usize,
        points: usize,
        give: impl FnOnce(&[Job], &mut Level<'_>),
    ) -> Range<usize> {
        // One more than there can be, for what is written and not counted.
        self.jobs.resize(start + points + 1, Job::default());
        let (earlier, jobs) = self.jobs.split_at_mut(start);
        let mut level = Level {
            waiting: &mut self.waiting,
            free: &self.free,
            freed: &mut self.freed,
            jobs,
            count: 0,
            free_left: self.free.len() - 1,
            freed_so_far: 0,
        };
        give(earlier, &mut level);
        let (count, free_left, freed) = (level.count, level.free_left, level.freed_so_far);
        self.free.truncate(free_left + 1);
        self.free.extend_from_slice(&self.freed[..freed]);
        self.jobs.truncate(start + count);
        let eights = start + count.next_multiple_of(8);
        self.jobs.resize(eights, filler(small(self.slots)));
        self.ends.push(eights);
        start..start + count
    }

    /// Bases that still wait get slots, as references to bases hold for one part.
    fn keep_bases(&mut self) {
        for chunk in self.waiting.chunks_mut(32) {
            if chunk.iter().fold(WORK, |all, reference| all & reference) != 0 {
                continue;
            }
            for reference in chunk.iter_mut().filter(|reference| **reference & WORK == 0) {
                let slot = self.free.pop().expect("a slot for each bucket");
                self.copies.push((*reference, slot));
                *reference = WORK | slot;
            }
        }
    }
}

/// A level in the making. Without branches: what comes to which bucket is as good as random.
struct Level<'a> {
    waiting: &'a mut [u32],
    free: &'a [u32],
    freed: &'a mut [u32],
    jobs: &'a mut [Job],
    /// Additions so far.
    count: usize,
    /// Free slots that are left.
    free_left: usize,
    /// Slots that have become free.
    freed_so_far: usize,
}

impl Level<'_> {
    /// A point comes to a bucket; bucket 0 takes none.
    #[inline(always)]
    fn come(&mut self, bucket: u32, reference: u32) {
        let place = &mut self.waiting[bucket as usize];
        let other = *place;
        let pairs = other != NONE;
        let waits = !pairs && bucket != 0;
        *place = if waits { reference } else { NONE };
        // All ones where the point is a sum.
        let [sum, other_sum] =
            [reference, other].map(|point| (point.cast_signed() >> 31).cast_unsigned());
        let out = reference & sum | self.free[self.free_left] & !sum;
        let out = other & other_sum | out & !other_sum;
        self.jobs[self.count] = Job {
            left: other,
            right: reference,
            out: out & INDEX,
            bucket,
        };
        self.freed[self.freed_so_far] = reference & INDEX;
        let pairs = u32::from(pairs);
        self.count += pairs as usize;
        self.free_left -= (pairs & !sum & !other_sum) as usize;
        self.freed_so_far += (pairs & sum & other_sum) as usize;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// A group in which points are numbers: sums of slots, as a schedule says.
    struct Numbers(Vec<i64>);

    impl Numbers {
        fn at(&self, bases: &[i64], reference: u32) -> i64 {
            let index = (reference & INDEX) as usize;
            match (reference & WORK, reference & NEGATIVE) {
                (0, 0) => bases[index],
                (0, _) => -bases[index],
                _ => self.0[index],
            }
        }

        fn run(&mut self, schedule: &Schedule, bases: &[i64]) {
            for level in schedule.levels() {
                assert_eq!((level.start % 8, level.end % 8), (0, 0));
                let jobs = &schedule.jobs()[level];
                let fillers = jobs.iter().filter(|job| job.bucket == 0);
                assert!(fillers.count() < 8);
                let jobs: Vec<&Job> = jobs.iter().filter(|job| job.bucket != 0).collect();
                let mut used = HashSet::new();
                for job in &jobs {
                    let slots = [job.left, job.right]
                        .map(|reference| (reference & WORK != 0).then_some(reference & INDEX));
                    let mine: HashSet<u32> = slots.into_iter().flatten().chain([job.out]).collect();
                    assert!(job.out < schedule.spare());
                    assert!(
                        mine.iter().all(|slot| used.insert(*slot)),
                        "a slot is used twice"
                    );
                }
                // In any order, as nobody else uses the slots.
                for job in jobs.iter().rev() {
                    let sum = self.at(bases, job.left) + self.at(bases, job.right);
                    self.0[job.out as usize] = sum;
                }
            }
            for (base, slot) in schedule.copies() {
                self.0[*slot as usize] = self.at(bases, *base);
            }
        }
    }

    /// Sums up parts of digits, two windows one after the other with the same schedule.
    fn check(width: usize, part: usize, parts: &[Vec<i32>]) {
        let buckets = 1usize << (width - 1);
        let middle = i32::try_from(buckets).unwrap();
        let mut schedule = Schedule::new(width, part);
        for _ in 0..2 {
            let mut numbers = Numbers(vec![0; schedule.slots()]);
            let mut expected = vec![0; buckets];
            for digits in parts {
                let bases: Vec<i64> = (1..).map(|i| i * i + 7).take(digits.len()).collect();
                let references: Vec<u32> = (0u32..)
                    .take(digits.len())
                    .map(|i| i | ((i % 2) * NEGATIVE))
                    .collect();
                let stored: Vec<u16> = digits
                    .iter()
                    .map(|digit| u16::try_from(digit + middle).unwrap())
                    .collect();
                schedule.plan(&references, &stored, middle, false);
                numbers.run(&schedule, &bases);
                for ((digit, base), reference) in digits.iter().zip(&bases).zip(&references) {
                    let sign =
                        i64::from(digit.signum()) * if reference & NEGATIVE == 0 { 1 } else { -1 };
                    if *digit != 0 {
                        expected[digit.unsigned_abs() as usize - 1] += sign * base;
                    }
                }
            }
            schedule.plan(&[], &[], 0, true);
            numbers.run(&schedule, &[]);
            let got: Vec<i64> = (schedule.buckets().iter())
                .map(|reference| match *reference {
                    NONE => 0,
                    slot => numbers.0[(slot & INDEX) as usize],
                })
                .collect();
            assert_eq!(got, expected);
            schedule.clear();
        }
    }

    #[test]
    fn every_digit_is_added_to_its_bucket_once() {
        let mut rng = StdRng::seed_from_u64(8);
        for width in [6, 9, 12] {
            let middle = 1 << (width - 1);
            for most in [1, 3, middle] {
                let mut part = |count: usize| -> Vec<i32> {
                    (0..count)
                        .map(|_| rng.gen_range(-most..=most.min(middle - 1)))
                        .collect()
                };
                let parts: Vec<_> = [1_000, 1, 0, 999, 8, 1_000, 1_000, 5].map(&mut part).into();
                check(width, 1_000, &parts);
            }
        }
    }

    /// One bucket gets everything, or each of all buckets two bases, or the smallest digit all.
    #[test]
    fn digits_that_fill_all_slots() {
        let full = |digit: i32| vec![vec![digit; 1_024]; 5];
        for digit in [1, -1, 31, -32, 0] {
            check(6, 1_024, &full(digit));
        }
        let pairs: Vec<i32> = (0..1_024).map(|i| i / 2 - 512).collect();
        check(11, 1_024, &vec![pairs; 5]);
        let all: Vec<i32> = (-512..512).collect();
        check(11, 1_024, &vec![all; 5]);
    }
}
