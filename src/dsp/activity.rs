//! What a sound is at a moment: silence, or something.

use std::collections::VecDeque;

use crate::error::{Error, Result};

/// Seconds of a gate's frame; frames overlap by half.
const FRAME_SECONDS: f64 = 0.032;
/// Decibels above the threshold at which the gate opens.
const HYSTERESIS: f64 = 3.0;
/// Seconds of quiet before the gate shuts.
const HANG_OVER: f64 = 0.2;
/// Levels that a gate can be set to, in dBFS.
const LEVELS: std::ops::RangeInclusive<f64> = -100.0..=-20.0;

/// Tells where a mono sound is silent.
///
/// Frames of 32 ms every 16 ms on the absolute grid of samples. The gate is shut at the start; a frame whose RMS is 3 dB above the threshold
/// opens it, 200 ms of frames below the threshold shut it. 0 dBFS is an RMS of 1.
#[derive(Debug, Clone)]
pub struct SilenceGate {
    hop: usize,
    shut_below: f64,
    open_above: f64,
    hang_frames: u32,
    /// Energy of the hop before, and of the current one as far as it is there.
    before: f64,
    current: f64,
    filled: usize,
    has_before: bool,
    is_open: bool,
    quiet_frames: u32,
    /// Number of the frame that `states` begins with, and whether it and those after it are silent.
    first_frame: u64,
    states: VecDeque<bool>,
}

impl SilenceGate {
    /// A gate at `level` dBFS for samples at `sample_rate` hertz.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a level outside -100..-20 dBFS.
    pub fn new(sample_rate: u32, level: f64) -> Result<Self> {
        if !LEVELS.contains(&level) {
            return Err(Error::invalid(format!("silence must be in {}..{} dBFS, got {level}", LEVELS.start(), LEVELS.end())));
        }
        let hop = (f64::from(sample_rate) * FRAME_SECONDS / 2.0).round().max(1.0) as usize;
        let power = |level: f64| libm::pow(10.0, level / 10.0) * (2 * hop) as f64;
        Ok(Self {
            hop,
            shut_below: power(level),
            open_above: power(level + HYSTERESIS),
            hang_frames: (HANG_OVER / (FRAME_SECONDS / 2.0)).round() as u32,
            before: 0.0,
            current: 0.0,
            filled: 0,
            has_before: false,
            is_open: false,
            quiet_frames: 0,
            first_frame: 0,
            states: VecDeque::new(),
        })
    }

    /// Takes samples. One that is NaN counts as 0.
    pub fn push(&mut self, samples: &[f32]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(self.hop - self.filled));
            for &sample in piece {
                let sample = f64::from(sample);
                self.current += if sample.is_nan() { 0.0 } else { sample * sample };
            }
            self.filled += piece.len();
            rest = behind;
            if self.filled == self.hop {
                if self.has_before {
                    self.judge(self.before + self.current);
                }
                (self.before, self.current, self.filled, self.has_before) = (self.current, 0.0, 0, true);
            }
        }
    }

    /// Goes on at sample `sample` with nothing before it.
    pub fn restart(&mut self, sample: u64) {
        let frame = sample / self.hop as u64;
        self.states.clear();
        self.first_frame = frame;
        (self.before, self.current, self.has_before) = (0.0, 0.0, false);
        self.filled = (sample % self.hop as u64) as usize;
        (self.is_open, self.quiet_frames) = (false, 0);
    }

    /// Whether the sound is silent around sample `sample`. Samples that no whole frame is centred near yet count as the last one that is.
    #[must_use]
    pub fn is_silent(&self, sample: u64) -> bool {
        // The frame whose middle, a hop after its start, lies closest.
        let frame = sample.saturating_sub(self.hop as u64 / 2) / self.hop as u64;
        let place = usize::try_from(frame.saturating_sub(self.first_frame)).unwrap_or(usize::MAX);
        self.states.get(place).or(self.states.back()).copied().unwrap_or(!self.is_open)
    }

    /// Forgets the frames that lie before sample `sample`, all but the last.
    pub fn forget_before(&mut self, sample: u64) {
        while self.states.len() > 1 && (self.first_frame + 2) * (self.hop as u64) < sample {
            self.states.pop_front();
            self.first_frame += 1;
        }
    }

    /// Samples between a sound and the gate's word on it.
    #[must_use]
    pub fn latency(&self) -> usize {
        2 * self.hop
    }

    /// Bytes held.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.states.capacity()
    }

    fn judge(&mut self, energy: f64) {
        if energy >= self.open_above {
            (self.is_open, self.quiet_frames) = (true, 0);
        } else if energy < self.shut_below {
            self.quiet_frames += 1;
            if self.quiet_frames >= self.hang_frames {
                self.is_open = false;
            }
        } else {
            self.quiet_frames = 0;
        }
        self.states.push_back(!self.is_open);
    }
}

#[cfg(test)]
mod tests {
    use super::SilenceGate;

    /// Silence, `on` seconds of a tone at `level` dBFS, silence; then where the gate calls it silent, every 16 ms.
    fn gated(level: f64, on: f64) -> Vec<bool> {
        let amplitude = 10f64.powf(level / 20.0) * std::f64::consts::SQRT_2;
        let sound: Vec<f32> = (0..16_000)
            .map(|n| {
                let time = f64::from(n) / 8_000.0;
                if (0.5..0.5 + on).contains(&time) { (amplitude * (std::f64::consts::TAU * 1_000.0 * time).sin()) as f32 } else { 0.0 }
            })
            .collect();
        let mut gate = SilenceGate::new(8_000, -60.0).unwrap();
        for piece in sound.chunks(777) {
            gate.push(piece);
        }
        (0..125).map(|frame| gate.is_silent(frame * 128)).collect()
    }

    #[test]
    fn a_burst_opens_the_gate_at_once_and_200_ms_of_quiet_shut_it() {
        let silent = gated(-50.0, 0.5);
        let first = silent.iter().position(|silent| !silent).unwrap();
        let last = silent.iter().rposition(|silent| !silent).unwrap();
        assert!((30..=32).contains(&first), "{first}");
        // 1 s and 200 ms are frame 75.
        assert!((73..=77).contains(&last), "{last}");
        assert!(silent[first..=last].iter().all(|silent| !silent));
    }

    #[test]
    fn between_the_thresholds_the_gate_stays_as_it_is() {
        assert!(gated(-58.5, 0.5).iter().all(|silent| *silent));
        assert!(gated(-65.0, 1.0).iter().all(|silent| *silent));
        assert!(gated(-56.0, 0.5).iter().any(|silent| !silent));
    }

    #[test]
    fn levels_out_of_range_are_refused() {
        for level in [f64::NAN, -100.5, -19.0, f64::INFINITY] {
            assert_eq!(SilenceGate::new(8_000, level).unwrap_err().kind(), "invalid-input");
        }
    }
}
