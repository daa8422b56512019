//! The low-pass filter of a decimation by two.

/// Shape of the Kaiser window for 80 dB (J. F. Kaiser 1974).
const KAISER_BETA: f64 = 7.857;

/// Taps 1, 3, 5 ... up to the odd `last` of a low-pass filter at a quarter of the rate, a sinc under a Kaiser window; tap 0 is 1/2, the
/// even ones are 0.
#[must_use]
pub fn half_band(last: usize) -> Vec<f32> {
    let bessel = |x: f64| {
        let (mut term, mut sum, mut index) = (1.0, 1.0, 1.0);
        while term > 1e-17 * sum {
            term *= (x / (2.0 * index)) * (x / (2.0 * index));
            sum += term;
            index += 1.0;
        }
        sum
    };
    let mut taps = vec![0.0f64; last / 2 + 1];
    for (tap, place) in taps.iter_mut().zip((1..).step_by(2)) {
        let place = f64::from(place);
        let share = place / (last + 1) as f64;
        let window = bessel(KAISER_BETA * libm::sqrt(1.0 - share * share)) / bessel(KAISER_BETA);
        *tap = libm::sin(std::f64::consts::FRAC_PI_2 * place) / (std::f64::consts::PI * place) * window;
    }
    // Unity at 0 Hz: both sides together have the other half.
    let sum: f64 = 4.0 * taps.iter().sum::<f64>();
    taps.into_iter().map(|tap| (tap / sum) as f32).collect()
}
