//! Stems from a stereo mix.
