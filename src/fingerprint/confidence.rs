//! How likely a match is right: the number of false alarms that chance would give, turned into a probability by a measured table.

use super::matching::Searched;

/// Decimal logarithms of the evidence at the knots of [`CONFIDENCES`], see [`evidence`].
const KNOTS: [f64; 17] = [-4.0, -2.0, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0];
/// Share of correct matches at [`KNOTS`].
const CONFIDENCES: [f64; 17] = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.8, 0.87, 0.93, 0.96, 0.985, 0.997, 1.0];

/// Least confidence of a hit unless the caller says otherwise.
pub const DEFAULT_MINIMUM: f64 = 0.985;

/// Evidence for a match of `votes` distinct anchors: -log10 of the number of offsets at which chance alone would give as many, where
/// `others` further votes are spread over all offsets of all parts and `window` neighbouring offsets are counted together.
///
/// A number of false alarms after Desolneux, Moisan and Morel, "Meaningful alignments", IJCV 40, 2000, with Poisson counts.
#[must_use]
pub fn evidence(votes: u32, others: usize, window: u32, searched: Searched) -> f64 {
    let offsets = searched.ticks as f64 + searched.parts as f64 * f64::from(searched.query_ticks);
    let cells = (offsets / f64::from(window)).max(1.0);
    let rate = (others as f64 / cells).max(1e-9);
    -(cells.log10() + log10_poisson_tail(rate, votes))
}

/// Confidence of a match with this much evidence, 0..1.
#[must_use]
pub fn of(evidence: f64) -> f64 {
    let above = KNOTS.partition_point(|&knot| knot <= evidence);
    let (Some(&low), Some(&from)) = (KNOTS.get(above.wrapping_sub(1)), CONFIDENCES.get(above.wrapping_sub(1))) else {
        return CONFIDENCES[0];
    };
    let (Some(&high), Some(&to)) = (KNOTS.get(above), CONFIDENCES.get(above)) else { return from };
    from + (to - from) * (evidence - low) / (high - low)
}

/// log10 of P[X >= count] for a Poisson variable of mean `rate`.
fn log10_poisson_tail(rate: f64, count: u32) -> f64 {
    if f64::from(count) <= rate {
        // At or below the mean the tail is at least about a half: no evidence.
        return 0.0;
    }
    let count = f64::from(count);
    let log_first = count * libm::log(rate) - rate - libm::lgamma(count + 1.0);
    // The terms fall by rate / (count + 1), rate / (count + 2), ...
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut index = count;
    while term > 1e-12 * sum {
        index += 1.0;
        term *= rate / index;
        sum += term;
    }
    ((log_first + libm::log(sum)) / std::f64::consts::LN_10).min(0.0)
}
