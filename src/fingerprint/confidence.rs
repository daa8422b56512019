//! How likely a match is right: the number of false alarms that chance would give, turned into a probability by a measured table.

use super::print::{Algorithm, Profile, Scheme};

/// Evidence (see [`evidence`]) at the knots of the tables.
const KNOTS: [f64; 17] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 14.0, 16.0, 20.0, 25.0, 30.0];

/// Share of right answers at [`KNOTS`] on generated music, with excerpts and strangers in equal shares. Fitted by
/// `tools/fingerprint_calibrate.py`, a table per scheme: the denser the pairs, the less does each say.
///
/// Wang: 2 880 excerpts (1 to 5 s, clean to -5 dB of noise) and 1 200 strangers (1 to 10 s) asked of 120 tracks of a minute. Panako: 6 720
/// excerpts, 3 600 of them changed in tempo or pitch, and 4 500 strangers asked of 500 tracks; on 11 200 and 9 000 of other seeds it is 0.003
/// off on average, where a table fitted among 60 tracks was 0.076 off. Haitsma and Kalker: 258 excerpts, the weakest at 26.5, and 2 240
/// strangers, the strongest at 7.8; nothing lies between.
///
/// Neural: the shipped embedder, 1 600 excerpts (1 to 5 s, clean to 0 dB of noise) and 3 962 strangers of held-out pieces with pitch, asked of 120 and of
/// 15 tracks; of other networks it is a guess.
fn confidences(scheme: Scheme) -> &'static [f64; 17] {
    match (scheme.algorithm(), scheme.profile()) {
        (Algorithm::Panako, _) => {
            &[0.022, 0.026, 0.027, 0.030, 0.040, 0.088, 0.224, 0.386, 0.591, 0.739, 0.873, 0.987, 1.0, 1.0, 1.0, 1.0, 1.0]
        }
        (Algorithm::Haitsma, _) => &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.059, 0.118, 0.235, 0.353, 0.471, 0.706, 1.0, 1.0],
        (Algorithm::Neural, Profile::Dense) => {
            &[0.003, 0.068, 0.711, 0.995, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
        }
        (Algorithm::Neural, _) => &[0.011, 0.189, 0.763, 0.991, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        (Algorithm::Wang, Profile::Dense) => {
            &[0.028, 0.031, 0.031, 0.059, 0.059, 0.061, 0.061, 0.071, 0.114, 0.191, 0.338, 0.577, 0.808, 0.930, 1.0, 1.0, 1.0]
        }
        (Algorithm::Wang, Profile::Large) => {
            &[0.022, 0.079, 0.201, 0.364, 0.433, 0.706, 0.739, 0.893, 0.893, 0.965, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
        }
        (Algorithm::Wang, _) => {
            &[0.013, 0.018, 0.028, 0.069, 0.100, 0.326, 0.396, 0.639, 0.682, 0.702, 0.953, 0.978, 0.995, 1.0, 1.0, 1.0, 1.0]
        }
    }
}

/// Least confidence of a hit unless the caller says otherwise: that of the evidence above which at most one stranger in a thousand comes.
///
/// Of 4 800 strangers, half of them of the split that no table was fitted on, 2 pass with Wang's profile `default`, 1 with `dense`, 3 with
/// `large` and none with Haitsma and Kalker; of 8 024 with the shipped embedder 8 with either profile. Of 9 000 of the other split asked of
/// 500 tracks, 8 pass with Panako and 7 with Wang.
#[must_use]
pub fn default_minimum(scheme: Scheme) -> f64 {
    match scheme.algorithm() {
        Algorithm::Wang => 0.953,
        Algorithm::Panako => 0.9,
        Algorithm::Haitsma => 0.5,
        Algorithm::Neural if scheme.profile() == Profile::Dense => 0.87,
        Algorithm::Neural => 0.911,
    }
}

/// Evidence for a match of `votes` distinct anchors: -log10 of the number of places, among `cells`, at which chance alone would give as
/// many where it gives `rate` on average.
///
/// A number of false alarms after Desolneux, Moisan and Morel, "Meaningful alignments", IJCV 40, 2000, with Poisson counts.
#[must_use]
pub fn evidence(votes: u32, rate: f64, cells: f64) -> f64 {
    -(libm::log10(cells.max(1.0)) + log10_poisson_tail(rate.max(1e-9), votes))
}

/// Evidence for a match that lies `deviations` standard deviations from what chance gives, at one of `cells` places: as [`evidence`] with
/// a normal distribution.
#[must_use]
pub fn normal_evidence(deviations: f64, cells: f64) -> f64 {
    let log10_tail = if deviations < 8.0 {
        libm::log10(0.5 * libm::erfc(deviations / std::f64::consts::SQRT_2))
    } else {
        // The first term of the asymptotic series, off by less than 1/64.
        -(0.5 * deviations * deviations + libm::log(deviations * libm::sqrt(std::f64::consts::TAU))) / std::f64::consts::LN_10
    };
    -(libm::log10(cells.max(1.0)) + log10_tail)
}

/// Confidence of a match with this much evidence between prints of a scheme, 0..1.
#[must_use]
pub fn of(evidence: f64, scheme: Scheme) -> f64 {
    let values = confidences(scheme);
    let above = KNOTS.partition_point(|&knot| knot <= evidence);
    let Some(below) = above.checked_sub(1) else { return values[0] };
    let (low, from) = (KNOTS[below], values[below]);
    let (Some(&high), Some(&to)) = (KNOTS.get(above), values.get(above)) else { return from };
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

#[cfg(test)]
mod tests {
    use super::{KNOTS, evidence, log10_poisson_tail, of};
    use crate::fingerprint::print::{Algorithm, Profile, Scheme};

    #[test]
    fn the_tail_equals_the_direct_sum() {
        for (rate, count) in [(0.01, 1), (0.01, 3), (0.5, 4), (2.0, 9), (30.0, 55)] {
            let mut term = f64::exp(-rate);
            let mut below = 0.0;
            for index in 0..count {
                below += term;
                term *= rate / f64::from(index + 1);
            }
            let mut above = 0.0f64;
            for index in count..count + 400 {
                above += term;
                term *= rate / f64::from(index + 1);
            }
            assert!((below + above - 1.0).abs() < 1e-12);
            assert!((log10_poisson_tail(rate, count) - above.log10()).abs() < 1e-9, "{rate} {count}");
        }
    }

    #[test]
    fn evidence_rises_with_votes_and_falls_with_chance_and_with_the_size_of_the_search() {
        let base = evidence(10, 0.1, 1e5);
        assert!(evidence(11, 0.1, 1e5) > base && evidence(10, 0.2, 1e5) < base && evidence(10, 0.1, 1e6) < base);
        assert!((base - evidence(10, 0.1, 1e6) - 1.0).abs() < 1e-12);
        assert!(evidence(1, 5.0, 1e5) < 0.0);
    }

    #[test]
    fn confidence_is_a_probability_that_never_falls() {
        let own =
            [Algorithm::Panako, Algorithm::Haitsma, Algorithm::Neural].map(|algorithm| Scheme::new(algorithm, Profile::Default).unwrap());
        let wang = [Profile::Default, Profile::Dense, Profile::Large];
        for scheme in wang.into_iter().map(Scheme::from).chain(own) {
            let mut last = 0.0;
            for step in -1_000..5_000 {
                let confidence = of(f64::from(step) / 100.0, scheme);
                assert!((0.0..=1.0).contains(&confidence) && confidence >= last);
                last = confidence;
            }
            assert_eq!((of(KNOTS[16], scheme), of(f64::INFINITY, scheme)), (1.0, 1.0));
        }
        assert_eq!(of(f64::NEG_INFINITY, Profile::Default.into()), 0.013);
    }
}
