//! Mel filter banks.
