//! Finds the column of a moment in a few instructions.

use crate::Span;

/// Cells that a span is divided into, for each column.
const CELLS: u64 = 4;

/// The edges of columns, and for cells of equal width the column in which each begins.
#[derive(Debug)]
pub(super) struct Ruler {
    span: Span,
    /// Where columns begin.
    begins_us: Vec<i64>,
    /// By cell, the column that has its beginning.
    cells: Vec<u32>,
    /// A cell is `2^shift` microseconds wide.
    shift: u32,
}

impl Ruler {
    /// Of columns one behind the other without a gap; there is at least one.
    pub(super) fn new(span: Span, columns: &[Span]) -> Self {
        let begins_us: Vec<i64> = columns.iter().map(|column| column.from_us).collect();
        let width = begins_us.last().map_or(0, |last| last.abs_diff(span.from_us));
        let shift = (width / (CELLS * begins_us.len().max(1) as u64)).max(1).ilog2();
        let begin = |cell: u64| span.from_us.saturating_add_unsigned(cell << shift);
        let column =
            |cell: u64| begins_us.partition_point(|begin_us| *begin_us <= begin(cell)).max(1) as u32 - 1;
        let cells = (0..=width >> shift).map(column).collect();
        Self { span, begins_us, cells, shift }
    }

    /// The column of a moment in the span.
    #[inline]
    pub(super) fn column(&self, time_us: i64) -> Option<usize> {
        if !self.span.holds(time_us) {
            return None;
        }
        let cell = (time_us.abs_diff(self.span.from_us) >> self.shift) as usize;
        let mut column = self.cells.get(cell).or(self.cells.last()).map_or(0, |column| *column as usize);
        while self.begins_us.get(column + 1).is_some_and(|begin_us| *begin_us <= time_us) {
            column += 1;
        }
        Some(column)
    }

    /// The columns of ascending times, each with how many of them lie in it.
    #[inline]
    pub(super) fn cut(&self, times_us: &[i64], each: &mut impl FnMut(usize, usize)) {
        let mut rest = times_us;
        while let Some(first_us) = rest.first() {
            let Some(column) = self.column(*first_us) else {
                rest = &rest[1..];
                continue;
            };
            let end_us = self.begins_us.get(column + 1).copied().or(self.span.to_us).unwrap_or(i64::MAX);
            let own = 1 + rest[1..].iter().take_while(|time_us| **time_us < end_us).count();
            each(column, own);
            rest = &rest[own..];
        }
    }

    /// How many columns there are.
    pub(super) fn columns(&self) -> usize {
        self.begins_us.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    #[test]
    fn a_moment_is_in_the_column_that_holds_it() {
        for seed in 0..200 {
            let mut rng = Rng(seed);
            let from_us = rng.one(&[0, 1_767_225_600_000_000, -5, i64::MIN]);
            let mut edges = vec![from_us];
            for _ in 0..1 + rng.below(40) {
                let width = [1, 7, 3_600_000_000, 90_000_000_000][rng.below(4) as usize];
                edges.push(edges[edges.len() - 1] + width);
            }
            let spans = edges.windows(2).map(|both| Span { from_us: both[0], to_us: Some(both[1]) });
            let mut columns: Vec<_> = spans.collect();
            let open = rng.chance(2);
            let last = columns.last_mut().unwrap();
            last.to_us = last.to_us.filter(|_| !open);
            let span = Span { from_us, to_us: last.to_us };
            let ruler = Ruler::new(span, &columns);
            assert_eq!(ruler.columns(), columns.len());
            let near = edges.iter().flat_map(|edge| [-1, 0, 1].map(|by: i64| edge.saturating_add(by)));
            for time_us in near.clone().chain([i64::MIN, 0, i64::MAX]) {
                let expected = columns.iter().position(|column| column.holds(time_us));
                assert_eq!(ruler.column(time_us), expected, "seed {seed}, {time_us}");
            }
            let mut times: Vec<i64> = near.clone().filter(|_| rng.chance(2)).collect();
            times.sort_unstable();
            let mut found = vec![0; columns.len()];
            ruler.cut(&times, &mut |column, own| found[column] += own);
            let held = |column: &Span| times.iter().filter(|time_us| column.holds(**time_us)).count();
            assert_eq!(found, columns.iter().map(held).collect::<Vec<_>>(), "seed {seed}, {times:?}");
        }
    }
}
