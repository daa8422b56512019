//! The engines that are asked: otolith's catalogues, one per algorithm, and audiofp's indices.

use std::time::Instant;

use audiofp::classical::{
    Haitsma as PeerHaitsma, HaitsmaFingerprint, Panako as PeerPanako, PanakoFingerprint, Wang as PeerWang, WangFingerprint,
};
use audiofp::matching::{HaitsmaIndex, HaitsmaMatchConfig, MatchResult, PanakoIndex, PanakoMatchConfig, WangIndex, WangMatchConfig};
use audiofp::{Fingerprinter, SampleRate};
use otolith::audio::resample::resample;
use otolith::fingerprint::catalog::Replace;
use otolith::fingerprint::{Algorithm, Catalog, Extraction, MatchOptions, Mix, Print, Profile, Recipe, Scheme, confidence};
use otolith::{Audio, Limits};

use crate::{RATE, five_kilohertz};

/// Longest list of places per hash in audiofp's indices: none is cut.
const POSTINGS: u32 = u32::MAX;

/// What an engine says: track, offset in seconds, tempo and pitch factors, whether it takes it for a match, and how much speaks for it.
pub struct Answer {
    pub track: usize,
    pub offset: f64,
    pub tempo: f64,
    pub pitch: f64,
    pub accepted: bool,
    pub evidence: f64,
    /// 0..1; audiofp gives none.
    pub confidence: Option<f64>,
}

/// An answer of an engine: its name, the answer, and the milliseconds from the sound on.
pub type Asked = (&'static str, Option<Answer>, f64);

/// What `work` gives, and how many milliseconds it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64() * 1e3)
}

/// One algorithm of otolith, at its default profile; `neural`, which is for short clips, at profile `dense`.
pub struct Own {
    name: &'static str,
    scheme: Scheme,
    #[cfg(feature = "neural")]
    embedder: Option<std::sync::Arc<otolith::fingerprint::Embedder>>,
}

impl Own {
    pub fn new(algorithm: Algorithm) -> Self {
        let name = match algorithm {
            Algorithm::Wang => "otolith wang",
            Algorithm::Panako => "otolith panako",
            Algorithm::Haitsma => "otolith haitsma",
            Algorithm::Neural => "otolith neural dense",
        };
        let profile = if algorithm == Algorithm::Neural { Profile::Dense } else { Profile::Default };
        Self {
            name,
            scheme: Scheme::new(algorithm, profile).unwrap(),
            #[cfg(feature = "neural")]
            embedder: (algorithm == Algorithm::Neural).then(shipped_embedder),
        }
    }

    pub fn print(&self, samples: &[f32]) -> Print {
        let audio = Audio::new(vec![samples.to_vec()], RATE, &Limits::default()).unwrap();
        let recipe = Recipe { scheme: self.scheme, mix: Mix::Mean, silence: None };
        #[cfg(feature = "neural")]
        if let Some(embedder) = &self.embedder {
            return Extraction::whole_with_embedder(recipe, &audio, embedder.clone()).unwrap();
        }
        Extraction::whole(recipe, &audio).unwrap()
    }

    fn ask(&self, catalog: &Catalog, clip: &[f32]) -> Option<Answer> {
        let options = MatchOptions { top: 1, min_confidence: Some(0.0), ..MatchOptions::default() };
        let hit = catalog.find(&self.print(clip), &options).unwrap().into_iter().next()?;
        Some(Answer {
            track: hit.id.parse().unwrap(),
            offset: hit.offset,
            tempo: hit.time_scale,
            pitch: hit.pitch_scale,
            accepted: hit.confidence >= confidence::default_minimum(self.scheme),
            evidence: hit.evidence,
            confidence: Some(hit.confidence),
        })
    }
}

/// The embedder of `models/`.
#[cfg(feature = "neural")]
fn shipped_embedder() -> std::sync::Arc<otolith::fingerprint::Embedder> {
    use otolith::model::{Manifest, NamedGraph};
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../models");
    let manifest = Manifest::parse(&std::fs::read_to_string(folder.join("manifest.json")).unwrap(), "0.1.0").unwrap();
    let entry = manifest.models.into_iter().find(|entry| entry.name == "embedder").unwrap();
    let graph = NamedGraph::load(&entry, None, &std::fs::read(folder.join(entry.file.as_ref().unwrap())).unwrap()).unwrap();
    let digest = graph.weight_hash().to_owned();
    std::sync::Arc::new(otolith::fingerprint::Embedder::new(&entry, &digest, Box::new(graph)).unwrap())
}

/// The sound at the rate of each of audiofp's algorithms.
fn for_peers(samples: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let eight = resample(samples, RATE, 8_000).unwrap();
    let five = five_kilohertz::halved(&resample(samples, RATE, 10_000).unwrap());
    (eight, five)
}

/// What audiofp keeps of a track.
pub struct PeerPrints {
    wang: WangFingerprint,
    panako: PanakoFingerprint,
    haitsma: HaitsmaFingerprint,
}

impl PeerPrints {
    pub fn of(track: &[f32]) -> Self {
        let (eight, five) = for_peers(track);
        Self {
            wang: PeerWang::default().extract(&eight, SampleRate::HZ_8000).unwrap(),
            panako: PeerPanako::default().extract(&eight, SampleRate::HZ_8000).unwrap(),
            haitsma: PeerHaitsma::default().extract(&five, SampleRate::HZ_5000).unwrap(),
        }
    }
}

pub struct Peers {
    wang: WangIndex,
    panako: PanakoIndex,
    haitsma: HaitsmaIndex,
}

impl Peers {
    fn new(prints: Vec<PeerPrints>) -> Self {
        let (mut wang, mut panako, mut haitsma) = (Vec::new(), Vec::new(), Vec::new());
        for prints in prints {
            wang.push(prints.wang);
            panako.push(prints.panako);
            haitsma.push(prints.haitsma);
        }
        Self {
            wang: WangIndex::build(&wang, POSTINGS),
            panako: PanakoIndex::build(&panako, POSTINGS),
            haitsma: HaitsmaIndex::build(&haitsma, POSTINGS),
        }
    }

    /// The answers at audiofp's defaults. It is asked with the threshold of its score open, which is what a receiver operating
    /// characteristic needs; the best answer of all is its default's answer if it reaches the default, and otherwise none does.
    fn ask(&self, clip: &[f32]) -> [Asked; 3] {
        let ((eight, five), resampling) = timed(|| for_peers(clip));
        let answer = |found: Option<(usize, MatchResult)>, accepted: &dyn Fn(&MatchResult) -> bool| {
            found.map(|(track, result)| Answer {
                track,
                offset: result.offset.ms as f64 / 1e3,
                tempo: f64::from(result.time_scale),
                pitch: 1.0,
                accepted: accepted(&result),
                evidence: f64::from(result.score),
                confidence: None,
            })
        };
        let (wang, wang_time) = timed(|| {
            let print = PeerWang::default().extract(&eight, SampleRate::HZ_8000).ok()?;
            self.wang.query(&print, &WangMatchConfig { min_score: 0.0, ..WangMatchConfig::default() })
        });
        let (panako, panako_time) = timed(|| {
            let print = PeerPanako::default().extract(&eight, SampleRate::HZ_8000).ok()?;
            self.panako.query(&print, &PanakoMatchConfig { min_score: 0.0, ..PanakoMatchConfig::default() })
        });
        let (haitsma, haitsma_time) = timed(|| {
            let print = PeerHaitsma::default().extract(&five, SampleRate::HZ_5000).ok()?;
            self.haitsma.query(&print, &HaitsmaMatchConfig { max_ber: 1.0, ..HaitsmaMatchConfig::default() })
        });
        let share = resampling / 3.0;
        [
            ("audiofp wang", answer(wang, &|result| result.score >= WangMatchConfig::default().min_score), wang_time + share),
            ("audiofp panako", answer(panako, &|result| result.score >= PanakoMatchConfig::default().min_score), panako_time + share),
            (
                "audiofp haitsma",
                answer(haitsma, &|result| 1.0 - result.score <= HaitsmaMatchConfig::default().max_ber),
                haitsma_time + share,
            ),
        ]
    }
}

/// All engines with their references.
pub struct Engines {
    own: Vec<(Own, Catalog)>,
    peers: Option<Peers>,
}

impl Engines {
    /// `prints` are, of each track in order, the prints of each of `own`, and of audiofp if it is asked.
    pub fn new(own: Vec<Own>, prints: Vec<(Vec<Print>, Option<PeerPrints>)>) -> Self {
        let mut own: Vec<(Own, Catalog)> = own
            .into_iter()
            .map(|own| {
                let catalog = Catalog::new(own.scheme);
                (own, catalog)
            })
            .collect();
        let mut theirs = Vec::new();
        for (number, (prints, peer)) in prints.into_iter().enumerate() {
            for ((_, catalog), print) in own.iter_mut().zip(&prints) {
                catalog.enrol(&number.to_string(), "null", print, Replace::No).unwrap();
            }
            theirs.extend(peer);
        }
        Self { own, peers: (!theirs.is_empty()).then(|| Peers::new(theirs)) }
    }

    pub fn ask(&self, clip: &[f32]) -> Vec<Asked> {
        let mut answers: Vec<Asked> = Vec::new();
        for (own, catalog) in &self.own {
            let (answer, milliseconds) = timed(|| own.ask(catalog, clip));
            answers.push((own.name, answer, milliseconds));
        }
        answers.extend(self.peers.iter().flat_map(|peers| peers.ask(clip)));
        answers
    }
}
