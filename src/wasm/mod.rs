//! The border to JavaScript: thin, no arithmetic, one file per capability.
