//! WAV files out: 16 and 24 bit integer, 32 bit float.
