//! Encoded files to [`Audio`], a bounded number of packets at a time.
//!
//! The format is found by content; a wrong file name does no harm. Encoder delay and padding are trimmed where the container names
//! them (LAME header, Vorbis granule positions, MP4 edit list), so that lengths are those that ffmpeg gives.
//!
//! Damage is treated as a listener would want: a packet that is lost or cannot be decoded becomes silence of its own length, so that
//! what follows keeps its time, and is counted in a warning; a file that ends early gives what is there, with a warning. It is an
//! error if nothing can be decoded, or if more than half of the packets are damaged: then what plays is not the sound that was stored.
//!
//! Not decoded: Opus (the browser does), Vorbis with more than 2 channels, AAC other than low complexity in mono or stereo.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatReader, Track, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;

use super::planes::Planes;
use super::source::{ByteSource, File, ReadFailure};
use super::{Audio, edit_list, riff, sniff};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Frames after which a step ends: 1.5 s at 44.1 kHz, some ten milliseconds of MP3 decoding.
const STEP_FRAMES: usize = 65_536;
/// Packets after which a step ends even if they gave no sound.
const STEP_PACKETS: usize = 256;
/// Longest silence put in place of one damaged packet: the longest block that any codec here has (FLAC).
const LONGEST_BLOCK: f64 = 65_535.0;
/// Longest gap between the timestamps of two packets that is filled with silence, in seconds: two lost pages of Ogg at 64 kbit/s. A
/// longer one is more likely a damaged timestamp.
const LONGEST_GAP: f64 = 20.0;
/// Packets in a row of another rate or channel count after which the sound is taken to have changed: 0.2 s of MP3, more than chance.
const CHANGED_PACKETS: u32 = 8;
/// How symphonia's MPEG decoder words a packet of another rate or channel count.
const CHANGED_SHAPE: &str = "invalid audio buffer signal spec";

/// Bytes of the file's start by which other files are known.
const HEAD_BYTES: usize = 4_096;

/// How a decoder gives its sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// All of it at the end.
    Whole,
    /// In blocks, as [`Decoder::block`] takes them: a long sound never lies in memory whole, and [`Limits::decoded_bytes`] bounds no
    /// more than what is waiting.
    Blocks,
}

/// A decoded file.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The sound; of a decoder that gives blocks, the last of them.
    pub audio: Audio,
    /// What had to be replaced or is missing, a sentence each; empty for an undamaged file.
    pub warnings: Vec<String>,
}

/// Decodes a whole file at once.
///
/// # Errors
/// Those of [`Decoder::new`], [`Decoder::step`] and [`Decoder::finish`].
pub fn decode(bytes: Vec<u8>, hint: &str, limits: Limits) -> Result<Decoded> {
    let mut decoder = Decoder::new(bytes, hint, limits)?;
    while decoder.step()? {}
    decoder.finish()
}

/// Decodes one file. Call [`Decoder::step`] until it returns false, then [`Decoder::finish`]; for blocks, call [`Decoder::block`] after
/// each step.
pub struct Decoder {
    reader: Box<dyn FormatReader>,
    track: u32,
    time_base: Option<TimeBase>,
    codec: Box<dyn AudioDecoder>,
    planes: Planes,
    limits: Limits,
    failure: ReadFailure,
    input_bytes: u64,
    packet_bytes: u64,
    packets: u64,
    damaged: u64,
    first_damage: String,
    /// Packets of another shape since the last good one.
    changed: u32,
    /// Timestamp that the next packet should have, in the track's time base.
    next_timestamp: Option<i64>,
    gaps: u64,
    warnings: Vec<String>,
    has_ended: bool,
}

impl Decoder {
    /// Takes the whole encoded file and finds its format, to decode it whole. `hint` (a file name, an extension, a MIME type, or "")
    /// only makes messages clearer.
    ///
    /// # Errors
    /// [`Error::Limit`] for a file above `limits`, by its size or by the length that it declares; [`Error::InvalidInput`] for an empty
    /// file, more than 8 channels or a rate outside 8..192 kHz; [`Error::UnsupportedFormat`] for anything that is no sound file read
    /// here.
    pub fn new(bytes: Vec<u8>, hint: &str, limits: Limits) -> Result<Self> {
        Self::open(Box::new(bytes), hint, limits, Output::Whole)
    }

    /// The same of a file that is read as it is decoded.
    ///
    /// # Errors
    /// Those of [`Decoder::new`]; [`Error::InvalidInput`] if the source cannot be read.
    pub fn open(source: Box<dyn ByteSource>, hint: &str, limits: Limits, output: Output) -> Result<Self> {
        let mut file = File::new(source);
        let input_bytes = file.size();
        limits.check_input_bytes(input_bytes)?;
        sniff::refuse_other_files(&file.span(0, HEAD_BYTES)?, hint)?;
        let mended = riff::mend(&mut file)?;
        let movie = edit_list::movie_box(&mut file)?;
        let failure = file.failure();
        let stream = MediaSourceStream::new(Box::new(file), Default::default());
        let probed = symphonia::default::get_probe().probe(&Hint::new(), stream, Default::default(), Default::default());
        failure.check()?;
        let reader = probed.map_err(|error| unsupported(hint, &reason(&error)))?;
        let track = reader.default_track(TrackType::Audio).ok_or_else(|| unsupported(hint, "it has no audio track"))?;
        let parameters = audio_parameters(track, hint)?;
        let trim = movie.zip(parameters.sample_rate).and_then(|(movie, rate)| edit_list::read_trim(&movie, rate, track.num_frames));
        let trim = trim.unwrap_or_default();
        let shape = parameters.channels.as_ref().map(Channels::count).zip(parameters.sample_rate);
        let mut planes = Planes::new(limits.clone(), output, trim.start, trim.frames.or(track.num_frames));
        if let (Some((channels, sample_rate)), Some(claimed)) = (shape, mended.claimed_frames) {
            planes.check(channels, sample_rate, claimed)?;
        }
        if let Some((channels, sample_rate)) = shape {
            planes.take_shape(channels, sample_rate, input_bytes)?;
        }
        let codec = open_codec(parameters, hint)?;
        let (track, time_base) = (track.id, track.time_base);
        let warnings = mended.warning.into_iter().collect();
        Ok(Self {
            reader,
            track,
            time_base,
            codec,
            planes,
            limits,
            failure,
            input_bytes,
            packet_bytes: 0,
            packets: 0,
            damaged: 0,
            first_damage: String::new(),
            changed: 0,
            next_timestamp: None,
            gaps: 0,
            warnings,
            has_ended: false,
        })
    }

    /// Decodes some packets; true while there is more.
    ///
    /// # Errors
    /// [`Error::Limit`] when the sound outgrows its limits, [`Error::InvalidInput`] for a sample that is no number (channel and frame
    /// are named), [`Error::UnsupportedFormat`] when rate or channels change within the file, [`Error::OutOfMemory`].
    pub fn step(&mut self) -> Result<bool> {
        let start = self.planes.frames();
        for _ in 0..STEP_PACKETS {
            if self.has_ended || self.planes.frames() - start >= STEP_FRAMES as u64 {
                break;
            }
            match self.reader.next_packet() {
                Ok(Some(packet)) => self.decode(&packet)?,
                Ok(None) => self.has_ended = true,
                Err(SymphoniaError::ResetRequired) => self.open_next_stream()?,
                Err(error) => {
                    self.failure.check()?;
                    self.has_ended = true;
                    self.warnings.push(format!("the file is cut off or damaged after {:.3} s ({})", self.planes.seconds(), reason(&error)));
                }
            }
        }
        self.failure.check()?;
        Ok(!self.has_ended)
    }

    /// What was decoded since the last call, planar `[channels][frames]`, where the sound is to come in blocks; `None` if that is nothing.
    pub fn block(&mut self) -> Option<Audio> {
        let (channels, sample_rate) = self.planes.take_block()?;
        Some(Audio { channels, sample_rate })
    }

    /// Frames of the whole sound by the container's word, which need not be true.
    #[must_use]
    pub fn declared_frames(&self) -> Option<u64> {
        self.planes.declared()
    }

    /// Share of the file decoded, 0..1.
    #[must_use]
    pub fn progress(&self) -> f64 {
        if self.has_ended {
            return 1.0;
        }
        let share = match self.planes.declared() {
            Some(declared) if declared > 0 => self.planes.frames() as f64 / declared as f64,
            _ => self.packet_bytes as f64 / self.input_bytes as f64,
        };
        share.min(1.0)
    }

    /// The sound, or the rest of it that no block had, with what had to be replaced or is missing.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] before [`Decoder::step`] has returned false; [`Error::UnsupportedFormat`] if nothing could be decoded
    /// or more than half of the packets are damaged.
    pub fn finish(mut self) -> Result<Decoded> {
        if !self.has_ended {
            return Err(Error::invalid("finish was called before the whole file was decoded: call step until it returns false"));
        }
        let damage = format!("{} of {} packets are damaged ({})", self.damaged, self.packets, self.first_damage);
        if self.damaged * 2 > self.packets {
            return Err(Error::UnsupportedFormat { found: damage });
        }
        let frames = self.planes.frames();
        let declared = self.planes.declared();
        if !self.planes.has_shape() || (frames == 0 && (declared != Some(0) || !self.warnings.is_empty())) {
            return Err(Error::UnsupportedFormat { found: "the file has the header of a sound but no sound in it".to_owned() });
        }
        if self.damaged > 0 {
            self.warnings.push(format!("{damage}; silence stands in their place"));
        }
        if self.gaps > 0 {
            self.warnings.push(format!("packets are missing in {} places; silence stands in their place", self.gaps));
        }
        if let Some(declared) = declared.filter(|&declared| frames < declared && self.warnings.is_empty()) {
            let whole = declared as f64 / f64::from(self.planes.sample_rate());
            self.warnings.push(format!("the file ends after {:.3} s of {whole:.3} s", self.planes.seconds()));
        }
        if self.warnings.is_empty() && self.codec.finalize().verify_ok == Some(false) {
            self.warnings.push("the sound does not agree with the checksum in the file: some of it may be damaged".to_owned());
        }
        self.planes.cut_at_declared();
        let (channels, sample_rate) = self.planes.into_parts();
        Ok(Decoded { audio: Audio { channels, sample_rate }, warnings: self.warnings })
    }

    fn decode(&mut self, packet: &Packet) -> Result<()> {
        if packet.track_id != self.track {
            return Ok(());
        }
        self.packets += 1;
        self.packet_bytes += packet.data.len() as u64;
        self.limits.check_packets(self.packets, self.input_bytes)?;
        self.fill_gap(packet)?;
        match self.codec.decode(packet) {
            Ok(block) => {
                self.changed = 0;
                self.planes.append(&block, self.input_bytes)
            }
            Err(error) => self.replace_damaged(packet, &error),
        }
    }

    /// Puts silence where packets before this one are missing.
    fn fill_gap(&mut self, packet: &Packet) -> Result<()> {
        let start = packet.pts.get();
        let expected = self.next_timestamp.replace(start.saturating_add_unsigned(packet.block_dur().get()));
        let Some(gap) = expected.map(|expected| start.saturating_sub(expected)).filter(|&gap| gap > 0) else { return Ok(()) };
        let seconds = self.seconds(gap as f64);
        let frames = (seconds * f64::from(self.planes.sample_rate())).round();
        if frames < 1.0 {
            return Ok(());
        }
        self.gaps += 1;
        if seconds > LONGEST_GAP {
            return Ok(());
        }
        self.planes.append_silence(frames as usize)
    }

    fn replace_damaged(&mut self, packet: &Packet, error: &SymphoniaError) -> Result<()> {
        self.damaged += 1;
        if self.first_damage.is_empty() {
            self.first_damage = reason(error);
        }
        if matches!(error, SymphoniaError::DecodeError(why) if why.contains(CHANGED_SHAPE)) {
            self.changed += 1;
            if self.changed == CHANGED_PACKETS {
                let seconds = self.planes.seconds();
                return Err(Error::UnsupportedFormat { found: format!("the sample rate or the channels change after {seconds:.3} s") });
            }
        }
        let frames = self.seconds(packet.dur.get() as f64) * f64::from(self.planes.sample_rate());
        self.planes.append_silence(frames.round().min(LONGEST_BLOCK) as usize)
    }

    /// Ticks of the track's time base in seconds; 0 if it has none.
    fn seconds(&self, ticks: f64) -> f64 {
        self.time_base.map_or(0.0, |base| ticks * f64::from(base.numer.get()) / f64::from(base.denom.get()))
    }

    /// Continues with the next stream of a chained file, as Internet radio recordings are. It must have the same rate and channels.
    fn open_next_stream(&mut self) -> Result<()> {
        let Some(track) = self.reader.default_track(TrackType::Audio) else {
            self.has_ended = true;
            return Ok(());
        };
        let parameters = audio_parameters(track, "")?;
        self.codec = open_codec(parameters, "")?;
        (self.track, self.time_base) = (track.id, track.time_base);
        self.planes.forget_declared();
        self.next_timestamp = None;
        // A chain of empty streams is work too.
        self.packets += 1;
        self.limits.check_packets(self.packets, self.input_bytes)
    }
}

fn audio_parameters<'a>(track: &'a Track, hint: &str) -> Result<&'a AudioCodecParameters> {
    track.codec_params.as_ref().and_then(CodecParameters::audio).ok_or_else(|| unsupported(hint, "its audio track names no codec"))
}

fn open_codec(parameters: &AudioCodecParameters, hint: &str) -> Result<Box<dyn AudioDecoder>> {
    if parameters.codec == well_known::CODEC_ID_OPUS {
        return Err(unsupported(hint, "its codec is Opus, which the browser decodes (AudioContext.decodeAudioData) and otolith does not"));
    }
    // symphonia-codec-vorbis 0.6.1 undoes channel couplings in ascending order where Vorbis I, 4.3.5, says descending: surround comes
    // out as a wrong mixture, and a wrong sound is worse than none.
    if parameters.codec == well_known::CODEC_ID_VORBIS && parameters.channels.as_ref().is_some_and(|channels| channels.count() > 2) {
        return Err(unsupported(hint, "its codec is Vorbis with more than 2 channels, which is not decoded here"));
    }
    symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default().verify(true))
        .map_err(|error| unsupported(hint, &reason(&error)))
}

fn unsupported(hint: &str, why: &str) -> Error {
    Error::UnsupportedFormat { found: format!("{} cannot be decoded: {why}", sniff::name(hint)) }
}

fn reason(error: &SymphoniaError) -> String {
    match error {
        SymphoniaError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => "it ends early".to_owned(),
        SymphoniaError::Unsupported(what) if what.contains("no suitable format reader") => "no known sound format found in it".to_owned(),
        error => error.to_string(),
    }
}
