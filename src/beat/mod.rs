//! Beats and tempo.
