//! What can go wrong, and what the caller should do about it.

/// Result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// An error with its data. [`Error::kind`] is the stable code that crosses to TypeScript; the message says what was given, what is
/// allowed and what to do.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A value of the caller's is out of range or not a number. Correct it and call again.
    #[error("{what}")]
    InvalidInput {
        /// The value's path or place (channel, frame), what was given, what is allowed, what to do.
        what: String,
    },
    /// The bytes are no sound file that is read here, or a damaged one. Convert the file and try again.
    #[error("{found}; readable are WAV, FLAC, MP3, AAC in MP4, Vorbis, ALAC and AIFF: convert the file first")]
    UnsupportedFormat {
        /// What was found instead, with the reason.
        found: String,
    },
    /// The sound is shorter than the capability needs. Give it more.
    #[error("{capability} needs at least {needed} s of sound, got {given} s: give a longer excerpt")]
    TooShort {
        /// The capability that refused.
        capability: &'static str,
        /// Seconds given.
        given: f64,
        /// Seconds needed.
        needed: f64,
    },
    /// A limit of [`crate::Limits`] or of a file format is exceeded; nothing was allocated for the rest. Raise the limit or give less.
    #[error("{what} is {given}, the limit is {allowed}: {}", limit_advice(name))]
    Limit {
        /// What was measured, in words with its unit.
        what: &'static str,
        /// The field of [`crate::Limits`], in the spelling of the TypeScript option; "" where the limit is a format's own.
        name: &'static str,
        /// Value found.
        given: f64,
        /// Value allowed.
        allowed: f64,
    },
    /// Memory for a result could not be reserved. Close other jobs or give a shorter input.
    #[error("could not reserve {bytes} bytes for {what}: close other jobs or give a shorter input")]
    OutOfMemory {
        /// What the memory was for.
        what: &'static str,
        /// Bytes asked for.
        bytes: u64,
    },
    /// A model or its manifest cannot be used. Check that model and manifest belong together.
    #[error("model {name}: {what}")]
    ModelLoad {
        /// The model's name in its manifest.
        name: String,
        /// What was found, what is wanted, what to do.
        what: String,
    },
    /// A model's bytes are not the ones its manifest names. Download it again.
    #[error("model {name} is damaged or altered: SHA-256 {found}, its manifest says {expected}: download it again")]
    ModelIntegrity {
        /// The model's name in its manifest.
        name: String,
        /// SHA-256 that the manifest names, in hex.
        expected: String,
        /// SHA-256 of the bytes given, in hex.
        found: String,
    },
    /// Something stored cannot be read or written. What is stored is as it was before the call.
    #[error("{what}")]
    Storage {
        /// The file, what was found, what to do.
        what: String,
        /// Whether it is for want of room.
        is_full: bool,
    },
    /// A fault of ours: a state that the code rules out. Report it with the message.
    #[error("{what}: this is a fault in otolith, please report it")]
    Internal {
        /// What was found.
        what: String,
    },
}

fn limit_advice(name: &str) -> String {
    if name.is_empty() { "give less".to_owned() } else { format!("raise limits.{name} or give less") }
}

impl Error {
    /// The stable code of this error: `OtolithError.code` in TypeScript.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidInput { .. } => "invalid-input",
            Self::UnsupportedFormat { .. } => "unsupported-format",
            Self::TooShort { .. } => "too-short",
            Self::Limit { .. } => "limit",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::ModelLoad { .. } => "model-load",
            Self::ModelIntegrity { .. } => "model-integrity",
            Self::Storage { .. } => "storage",
            Self::Internal { .. } => "internal",
        }
    }

    /// An [`Error::InvalidInput`] with this message.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::InvalidInput { what: what.into() }
    }

    /// An [`Error::Internal`] with this message.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::Internal { what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn a_limit_error_names_the_value_the_limit_and_the_option_that_raises_it() {
        let error = Error::Limit { what: "duration in seconds", name: "durationSeconds", given: 90.0, allowed: 60.0 };
        assert_eq!(error.kind(), "limit");
        assert_eq!(error.to_string(), "duration in seconds is 90, the limit is 60: raise limits.durationSeconds or give less");
    }
}
