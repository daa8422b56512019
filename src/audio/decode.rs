//! Encoded files to [`Audio`], a bounded number of packets at a time.
//!
//! The format is found by content; a wrong file name does no harm. Encoder delay and padding are trimmed where the container names
//! them (LAME header, Vorbis granule positions, MP4 edit list), so that lengths are those that ffmpeg gives.
//!
//! Damage is treated as a listener would want: a packet that cannot be decoded becomes silence of its own length, so that what
//! follows keeps its time, and is counted in a warning; a file that ends early gives what is there, with a warning. It is an error
//! if nothing can be decoded, or if more than half of the packets are damaged: then what plays is not the sound that was stored.

use std::io::Cursor;
use std::sync::Arc;

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
use super::{Audio, edit_list, riff, sniff};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Frames after which a step ends: 1.5 s at 44.1 kHz, some ten milliseconds of MP3 decoding.
const STEP_FRAMES: usize = 65_536;
/// Packets after which a step ends even if they gave no sound.
const STEP_PACKETS: usize = 256;
/// Longest silence put in place of one damaged packet: the longest block that any codec here has (FLAC).
const LONGEST_BLOCK: f64 = 65_535.0;

/// A decoded file.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The sound.
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

/// Decodes one file. Call [`Decoder::step`] until it returns false, then [`Decoder::finish`].
pub struct Decoder {
    reader: Box<dyn FormatReader>,
    track: u32,
    time_base: Option<TimeBase>,
    codec: Box<dyn AudioDecoder>,
    planes: Planes,
    limits: Limits,
    input_bytes: usize,
    packet_bytes: usize,
    packets: u64,
    damaged: u64,
    first_damage: String,
    warnings: Vec<String>,
    has_ended: bool,
}

impl Decoder {
    /// Takes the whole encoded file and finds its format. `hint` (a file name, an extension, a MIME type, or "") only makes messages
    /// clearer.
    ///
    /// # Errors
    /// [`Error::Limit`] for a file above `limits`, by its size or by the length that it declares; [`Error::InvalidInput`] for an empty
    /// file, more than 8 channels or a rate outside 8..192 kHz; [`Error::UnsupportedFormat`] for anything that is no sound file read
    /// here.
    pub fn new(mut bytes: Vec<u8>, hint: &str, limits: Limits) -> Result<Self> {
        limits.check_input_bytes(bytes.len() as u64)?;
        sniff::refuse_other_files(&bytes, hint)?;
        let mended = riff::mend(&mut bytes);
        let input_bytes = bytes.len();
        let bytes: Arc<[u8]> = bytes.into();
        let stream = MediaSourceStream::new(Box::new(Cursor::new(Arc::clone(&bytes))), Default::default());
        let reader = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, Default::default(), Default::default())
            .map_err(|error| unsupported(hint, &reason(&error)))?;
        let track = reader.default_track(TrackType::Audio).ok_or_else(|| unsupported(hint, "it has no audio track"))?;
        let parameters = audio_parameters(track, hint)?;
        let trim = parameters.sample_rate.and_then(|rate| edit_list::read_trim(&bytes, rate, track.num_frames)).unwrap_or_default();
        let shape = parameters.channels.as_ref().map(Channels::count).zip(parameters.sample_rate);
        if let (Some((channels, sample_rate)), Some(claimed)) = (shape, mended.claimed_frames) {
            limits.check_shape(channels, sample_rate, claimed)?;
        }
        let mut planes = Planes::new(limits.clone(), trim.start, trim.frames.or(track.num_frames));
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
            input_bytes,
            packet_bytes: 0,
            packets: 0,
            damaged: 0,
            first_damage: String::new(),
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
            if self.has_ended || self.planes.frames() - start >= STEP_FRAMES {
                break;
            }
            match self.reader.next_packet() {
                Ok(Some(packet)) => self.decode(&packet)?,
                Ok(None) => self.has_ended = true,
                Err(SymphoniaError::ResetRequired) => self.open_next_stream()?,
                Err(error) => {
                    self.has_ended = true;
                    self.warnings.push(format!("the file is cut off or damaged after {:.3} s ({})", self.planes.seconds(), reason(&error)));
                }
            }
        }
        Ok(!self.has_ended)
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

    /// The sound, with what had to be replaced or is missing.
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
        let frames = self.planes.frames() as u64;
        let declared = self.planes.declared();
        if !self.planes.has_shape() || (frames == 0 && (declared != Some(0) || !self.warnings.is_empty())) {
            return Err(Error::UnsupportedFormat { found: "the file has the header of a sound but no sound in it".to_owned() });
        }
        if self.damaged > 0 {
            self.warnings.push(format!("{damage}; silence stands in their place"));
        }
        if let Some(declared) = declared.filter(|&declared| frames < declared && self.warnings.is_empty()) {
            let whole = declared as f64 / f64::from(self.planes.sample_rate());
            self.warnings.push(format!("the file ends after {:.3} s of {whole:.3} s", self.planes.seconds()));
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
        self.packet_bytes += packet.data.len();
        self.limits.check_packets(self.packets, self.input_bytes as u64)?;
        match self.codec.decode(packet) {
            Ok(block) => self.planes.append(&block, self.input_bytes),
            Err(error) => {
                self.damaged += 1;
                if self.first_damage.is_empty() {
                    self.first_damage = reason(&error);
                }
                self.planes.append_silence(self.frames_of(packet))
            }
        }
    }

    /// Frames that a packet would have given, by the container's word.
    fn frames_of(&self, packet: &Packet) -> usize {
        let (Some(base), rate) = (self.time_base, self.planes.sample_rate()) else { return 0 };
        let seconds = packet.dur.get() as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get());
        (seconds * f64::from(rate)).round().min(LONGEST_BLOCK) as usize
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
        // A chain of empty streams is work too.
        self.packets += 1;
        self.limits.check_packets(self.packets, self.input_bytes as u64)
    }
}

fn audio_parameters<'a>(track: &'a Track, hint: &str) -> Result<&'a AudioCodecParameters> {
    track.codec_params.as_ref().and_then(CodecParameters::audio).ok_or_else(|| unsupported(hint, "its audio track names no codec"))
}

fn open_codec(parameters: &AudioCodecParameters, hint: &str) -> Result<Box<dyn AudioDecoder>> {
    if parameters.codec == well_known::CODEC_ID_OPUS {
        return Err(unsupported(hint, "its codec is Opus, which the browser decodes (AudioContext.decodeAudioData) and otolith does not"));
    }
    symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
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
