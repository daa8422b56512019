//! Generated music with known beats: clicks, drum loops with fills, swing, tempo ramps, chords, meters. All from seeds.

use std::f64::consts::TAU;

pub const RATE: u32 = 44_100;

/// A generated piece and its truth.
pub struct Piece {
    pub name: String,
    pub samples: Vec<f32>,
    /// Seconds.
    pub beats: Vec<f64>,
    pub downbeats: Vec<f64>,
    /// Mean tempo in beats per minute.
    pub bpm: f64,
    pub beats_per_bar: u32,
    pub is_ramp: bool,
}

/// SplitMix64 (Steele, Lea, Flood, 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `low..high`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal with this standard deviation.
    pub fn normal(&mut self, deviation: f64) -> f64 {
        deviation * (-2.0 * self.uniform(1e-12, 1.0).ln()).sqrt() * (TAU * self.uniform(0.0, 1.0)).cos()
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform(0.0, 1.0) < probability
    }
}

/// Where the instruments are mixed.
pub struct Score {
    pub samples: Vec<f32>,
    random: Random,
}

impl Score {
    pub fn new(seconds: f64, seed: u64) -> Self {
        Self { samples: vec![0.0; (seconds * f64::from(RATE)) as usize], random: Random::new(seed) }
    }

    fn add(&mut self, time: f64, seconds: f64, mut sound: impl FnMut(f64) -> f64) {
        let start = (time * f64::from(RATE)).round();
        if start < 0.0 {
            return;
        }
        let length = (seconds * f64::from(RATE)) as usize;
        for (index, sample) in self.samples.iter_mut().skip(start as usize).take(length).enumerate() {
            *sample += sound(index as f64 / f64::from(RATE)) as f32;
        }
    }

    pub fn click(&mut self, time: f64, pitch: f64, gain: f64) {
        self.add(time, 0.03, |t| gain * (-200.0 * t).exp() * (TAU * pitch * t).sin());
    }

    pub fn kick(&mut self, time: f64, gain: f64) {
        self.add(time, 0.3, |t| gain * (-14.0 * t).exp() * (TAU * (50.0 * t + 90.0 / 40.0 * (1.0 - (-40.0 * t).exp()))).sin());
    }

    fn noise(&mut self, time: f64, seconds: f64, decay: f64, gain: f64, brightness: f64) {
        let mut random = Random::new(self.random.next());
        let mut before = 0.0;
        self.add(time, seconds, |t| {
            let white = random.uniform(-1.0, 1.0);
            let value = white - brightness * before;
            before = white;
            gain * (-decay * t).exp() * value
        });
    }

    pub fn snare(&mut self, time: f64, gain: f64) {
        self.noise(time, 0.25, 20.0, 0.6 * gain, 0.3);
        self.add(time, 0.15, |t| 0.5 * gain * (-25.0 * t).exp() * (TAU * 190.0 * t).sin());
    }

    pub fn hat(&mut self, time: f64, gain: f64) {
        self.noise(time, 0.08, 60.0, 0.4 * gain, 0.95);
    }

    pub fn crash(&mut self, time: f64, gain: f64) {
        self.noise(time, 1.5, 2.5, 0.4 * gain, 0.8);
    }

    pub fn tone(&mut self, time: f64, seconds: f64, pitch: f64, attack: f64, decay: f64, gain: f64) {
        self.add(time, seconds, |t| {
            let envelope = (t / attack).min(1.0) * (-decay * t).exp() * ((seconds - t) / 0.02).min(1.0);
            let partials: f64 = (1..=6).map(|k| (TAU * pitch * f64::from(k) * t).sin() / f64::from(k * k)).sum();
            gain * envelope * partials
        });
    }

    pub fn hiss(&mut self, gain: f64) {
        let mut random = Random::new(self.random.next());
        for sample in &mut self.samples {
            *sample += random.normal(gain) as f32;
        }
    }
}

/// Moments of the beats and of the places between: a musical position to seconds.
pub struct Clock {
    /// Seconds of each beat, with two more past the end.
    beats: Vec<f64>,
}

impl Clock {
    /// Beats from `start` on, the tempo going evenly in time from `bpm.0` to `bpm.1`, and swaying about that by the share `rubato`.
    fn new(start: f64, seconds: f64, Recipe { bpm, jitter, rubato, .. }: Recipe, random: &mut Random) -> Self {
        let mut beats = Vec::new();
        let mut time = start;
        while time < seconds + 4.0 {
            beats.push(time + random.normal(jitter));
            // Two slow waves that are never in step: no bar is like another.
            let sway = 1.0 + rubato * (0.7 * (TAU * time / 9.0).sin() + 0.3 * (TAU * time / 4.1).sin());
            time += 60.0 / (sway * (bpm.0 + (bpm.1 - bpm.0) * (time / seconds).min(1.0)));
        }
        Self { beats }
    }

    fn at(&self, beat: usize, fraction: f64) -> f64 {
        let (before, after) = (self.beats[beat.min(self.beats.len() - 2)], self.beats[(beat + 1).min(self.beats.len() - 1)]);
        before + fraction * (after - before)
    }

    fn before(&self, seconds: f64) -> Vec<f64> {
        self.beats.iter().copied().filter(|&beat| beat < seconds - 0.05).collect()
    }
}

/// What a piece is made of.
#[derive(Clone, Copy)]
pub struct Recipe {
    pub bpm: (f64, f64),
    pub beats_per_bar: u32,
    /// Where the off-beat lies: 0.5 straight, 0.67 triplet swing.
    pub swing: f64,
    /// Level of the hats on off-beats against those on beats; 0 without.
    pub off_beats: f64,
    pub drums: bool,
    pub chords: bool,
    pub jitter: f64,
    /// How far the tempo sways, as a share of it.
    pub rubato: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self { bpm: (120.0, 120.0), beats_per_bar: 4, swing: 0.5, off_beats: 0.6, drums: true, chords: false, jitter: 0.0, rubato: 0.0 }
    }
}

const SECONDS: f64 = 30.0;

/// Plays a recipe.
pub fn play(name: &str, recipe: Recipe, seed: u64) -> Piece {
    let mut random = Random::new(seed);
    let mut score = Score::new(SECONDS, random.next());
    let start = random.uniform(0.05, 1.0);
    let clock = Clock::new(start, SECONDS, recipe, &mut random);
    let bar = recipe.beats_per_bar as usize;
    let beats = clock.before(SECONDS);
    let roots = [0, 5, 7, 9].map(|_| 110.0 * (random.uniform(0.0, 12.0).floor() / 12.0).exp2());
    for beat in 0..beats.len() {
        let (position, number) = (beat % bar, beat / bar);
        let is_fill = recipe.drums && bar == 4 && number % 8 == 7 && position >= 2;
        if recipe.drums {
            play_drums(&mut score, &clock, recipe, beat, is_fill, &mut random);
        }
        if recipe.chords {
            let root = roots[number % 4];
            if position == 0 {
                let length = clock.at(beat + bar, 0.0) - clock.at(beat, 0.0);
                for interval in [0.0, 4.0, 7.0] {
                    score.tone(clock.at(beat, 0.0), length, 2.0 * root * (interval / 12.0_f64).exp2(), 0.02, 0.3, 0.08);
                }
            }
            let fifth = if position % 2 == 0 { 0.5 } else { 0.75 };
            score.tone(clock.at(beat, 0.0), 0.9 * (clock.at(beat, 1.0) - clock.at(beat, 0.0)), root * fifth, 0.005, 2.0, 0.25);
            if !recipe.drums || random.chance(0.5) {
                let pitch = 4.0 * root * ([0.0, 4.0, 7.0, 12.0][beat % 4] / 12.0_f64).exp2();
                score.tone(clock.at(beat, recipe.swing), 0.3, pitch, 0.005, 8.0, 0.1);
            }
        }
    }
    score.hiss(0.0005);
    let peak = score.samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs())).max(1e-9);
    score.samples.iter_mut().for_each(|sample| *sample *= 0.8 / peak);
    let downbeats = beats.iter().copied().step_by(bar).collect();
    let bpm = 60.0 * (beats.len() - 1) as f64 / (beats[beats.len() - 1] - beats[0]);
    Piece {
        name: name.to_owned(),
        samples: score.samples,
        beats,
        downbeats,
        bpm,
        beats_per_bar: recipe.beats_per_bar,
        is_ramp: recipe.bpm.0 != recipe.bpm.1,
    }
}

fn play_drums(score: &mut Score, clock: &Clock, recipe: Recipe, beat: usize, is_fill: bool, random: &mut Random) {
    let bar = recipe.beats_per_bar as usize;
    let (position, number) = (beat % bar, beat / bar);
    let mut loudness = || 1.0 + random.normal(0.08);
    if is_fill {
        for sixteenth in 0..4 {
            score.snare(clock.at(beat, 0.25 * f64::from(sixteenth)), 0.7 * loudness());
        }
        return;
    }
    if number % 8 == 0 && number > 0 && position == 0 {
        score.crash(clock.at(beat, 0.0), 0.8);
    }
    let has_kick = if bar == 4 { position % 2 == 0 } else { position == 0 };
    if has_kick {
        score.kick(clock.at(beat, 0.0), if position == 0 { 1.0 } else { 0.8 } * loudness());
    } else if bar != 6 || position == 3 {
        score.snare(clock.at(beat, 0.0), if bar == 3 { 0.5 } else { 0.8 } * loudness());
    }
    if bar == 4 && position == 2 && number % 2 == 1 {
        score.kick(clock.at(beat, recipe.swing), 0.6 * loudness());
    }
    score.hat(clock.at(beat, 0.0), 0.5 * loudness());
    if recipe.off_beats > 0.0 {
        score.hat(clock.at(beat, recipe.swing), 0.5 * recipe.off_beats * loudness());
    }
}

/// Clicks at one tempo, all alike.
pub fn clicks(bpm: f64, seed: u64) -> Piece {
    let mut random = Random::new(seed);
    let mut score = Score::new(SECONDS, random.next());
    let start = random.uniform(0.02, 1.0);
    let clock = Clock::new(start, SECONDS, Recipe { bpm: (bpm, bpm), ..Recipe::default() }, &mut random);
    let beats = clock.before(SECONDS);
    for &beat in &beats {
        score.click(beat, 1000.0, 0.7);
    }
    Piece { name: format!("clicks {bpm}"), samples: score.samples, downbeats: Vec::new(), beats, bpm, beats_per_bar: 4, is_ramp: false }
}

/// The evaluation set.
pub fn evaluation_set() -> Vec<Piece> {
    let mut pieces = Vec::new();
    let straight = |bpm: f64| Recipe { bpm: (bpm, bpm), ..Recipe::default() };
    for (seed, bpm) in [60.0, 72.0, 80.0, 95.0, 110.0, 120.0, 133.3, 150.0, 160.0, 175.0, 187.5, 200.0].into_iter().enumerate() {
        pieces.push(clicks(bpm, 100 + seed as u64));
        pieces.push(play(&format!("drums {bpm}"), straight(bpm), 200 + seed as u64));
    }
    for (seed, bpm) in [60.0, 85.0, 105.0, 128.0, 160.0, 200.0].into_iter().enumerate() {
        let sparse = Recipe { off_beats: 0.0, jitter: 0.005, ..straight(bpm) };
        pieces.push(play(&format!("drums without off-beats {bpm}"), sparse, 300 + seed as u64));
    }
    for (seed, bpm) in [70.0, 90.0, 110.0, 130.0, 160.0, 190.0].into_iter().enumerate() {
        let swung = Recipe { swing: if seed % 2 == 0 { 0.67 } else { 0.6 }, off_beats: 0.8, ..straight(bpm) };
        pieces.push(play(&format!("swing {bpm}"), swung, 400 + seed as u64));
    }
    for (seed, bpm) in
        [(80.0, 100.0), (100.0, 80.0), (120.0, 150.0), (110.0, 150.0), (160.0, 130.0), (150.0, 190.0)].into_iter().enumerate()
    {
        let ramp = Recipe { bpm, chords: seed % 2 == 1, ..Recipe::default() };
        pieces.push(play(&format!("ramp {}..{}", bpm.0, bpm.1), ramp, 500 + seed as u64));
    }
    for (seed, bpm) in [66.0, 84.0, 100.0, 124.0, 140.0, 168.0].into_iter().enumerate() {
        let band = Recipe { chords: true, jitter: 0.006, ..straight(bpm) };
        pieces.push(play(&format!("chords and drums {bpm}"), band, 600 + seed as u64));
        let quiet = Recipe { drums: false, ..band };
        pieces.push(play(&format!("chords {bpm}"), quiet, 700 + seed as u64));
    }
    for (seed, (bpm, beats_per_bar)) in [(100.0, 3), (150.0, 3), (120.0, 2), (92.0, 2), (140.0, 6), (180.0, 6)].into_iter().enumerate() {
        let metered = Recipe { beats_per_bar, chords: true, ..straight(bpm) };
        pieces.push(play(&format!("{beats_per_bar} beats a bar {bpm}"), metered, 800 + seed as u64));
    }
    pieces
}

/// Pieces whose tempo sways by up to 10 %, as players do.
pub fn rubato_set() -> Vec<Piece> {
    [72.0, 88.0, 104.0, 120.0, 136.0, 152.0]
        .into_iter()
        .enumerate()
        .map(|(seed, bpm)| {
            let free = Recipe { bpm: (bpm, bpm), rubato: 0.1, chords: true, drums: seed % 2 == 0, jitter: 0.006, ..Recipe::default() };
            play(&format!("rubato {bpm}"), free, 900 + seed as u64)
        })
        .collect()
}

/// Pieces from other seeds and recipes, on which the tempo comb was fitted.
pub fn training_set() -> Vec<Piece> {
    let mut random = Random::new(4242);
    (0..120_u64)
        .map(|number| {
            let bpm = 58.0 * (random.uniform(0.0, 1.0) * (205.0_f64 / 58.0).log2()).exp2();
            let beats_per_bar = if random.chance(0.6) { 4 } else { [2, 3, 6][random.uniform(0.0, 2.999) as usize] };
            if number % 6 == 0 {
                return Piece { name: format!("{number}"), ..clicks(bpm, 5000 + number) };
            }
            let kind = random.uniform(0.0, 1.0);
            let recipe = Recipe {
                bpm: (bpm, bpm),
                beats_per_bar,
                swing: [0.5, 0.5, 0.5, 0.6, 0.67][random.uniform(0.0, 4.999) as usize],
                off_beats: if random.chance(0.3) { 0.0 } else { random.uniform(0.3, 1.0) },
                drums: kind < 0.8,
                chords: kind > 0.5,
                jitter: random.uniform(0.0, 0.01),
                rubato: 0.0,
            };
            play(&format!("{number}"), recipe, 6000 + number)
        })
        .collect()
}
