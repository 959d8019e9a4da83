//! Which things that nobody uses are kept for whoever wants such a one next. Bookkeeping alone: what they are, and that
//! they may be given to others, is [`idle`](super::idle)'s concern.

/// What tells one from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Affinity {
    /// How much it can ever show, and how many addresses it has: only one for which both are as wanted will do.
    pub(super) capacity: u64,
    pub(super) span: usize,
    /// How large it began: one whose last guest began as large as is wanted is most likely of its kind.
    pub(super) began: usize,
}

/// What is kept, no more than so many.
#[derive(Debug)]
pub(super) struct WarmPool<T> {
    max: usize,
    /// The one that came last is the last.
    kept: Vec<(Affinity, T)>,
}

impl<T> WarmPool<T> {
    pub(super) fn new(max: usize) -> Self {
        Self { max, kept: vec![] }
    }

    /// Keeps one more. Returns the one that has to go for it, which has been there longest.
    pub(super) fn put(&mut self, fit: Affinity, thing: T) -> Option<T> {
        self.kept.push((fit, thing));
        (self.kept.len() > self.max).then(|| self.kept.remove(0).1)
    }

    /// Takes one that will do: of those that began as large as is wanted, or else of all, the one that came last.
    pub(super) fn take(&mut self, wanted: Affinity) -> Option<T> {
        let does = |fit: &Affinity| (fit.capacity, fit.span) == (wanted.capacity, wanted.span);
        let best = self.kept.iter().rposition(|(fit, _)| *fit == wanted);
        let at = best.or_else(|| self.kept.iter().rposition(|(fit, _)| does(fit)))?;
        Some(self.kept.remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn fit() -> impl Strategy<Value = Affinity> {
        (1u64..3, 1usize..3, 0usize..4).prop_map(|(capacity, span, began)| Affinity { capacity, span, began })
    }

    #[derive(Clone, Debug)]
    enum Op {
        Put(Affinity),
        Take(Affinity),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![fit().prop_map(Op::Put), fit().prop_map(Op::Take)]
    }

    proptest! {
        #[test]
        fn what_is_taken_fits_and_nothing_is_lost_or_doubled(max in 0usize..6, ops in prop::collection::vec(op(), 0..80)) {
            let (mut shelf, mut there) = (WarmPool::new(max), BTreeMap::<usize, Affinity>::new());
            for (number, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Put(fit) => {
                        there.insert(number, fit);
                        let gone = shelf.put(fit, number);
                        // The oldest goes, and only if there are too many.
                        let oldest = there.keys().next().copied().filter(|_| there.len() > max);
                        prop_assert_eq!(gone, oldest);
                        gone.map(|gone| there.remove(&gone));
                    }
                    Op::Take(wanted) => {
                        let does = |fit: &Affinity| (fit.capacity, fit.span) == (wanted.capacity, wanted.span);
                        let best = |does: &dyn Fn(&Affinity) -> bool| there.iter().rfind(|(_, fit)| does(fit)).map(|(n, _)| *n);
                        let expected = best(&|fit| *fit == wanted).or_else(|| best(&does));
                        prop_assert_eq!(shelf.take(wanted), expected);
                        expected.map(|taken| there.remove(&taken));
                    }
                }
                prop_assert_eq!(shelf.kept.len(), there.len());
                prop_assert!(there.len() <= max);
            }
        }
    }
}
