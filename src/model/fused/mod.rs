//! Parts of our own networks as single steps: found in the graph by what they compute, run by kernels that keep what lies between in a
//! few rows; a beat network's graphs as one step each. A graph without such parts stays as it is.

mod attention;
mod band_encoder;
mod band_head;
mod band_split;
mod dilated;
mod feed_forward;
mod operator;
mod pattern;
mod pooled;
mod tile;
mod whole;

pub(super) use operator::register;
pub(super) use pattern::fuse;
pub(super) use whole::{Ready, Whole};

/// Domain of the operators that [`fuse`] puts in and [`register`] reads.
const DOMAIN: &str = "otolith";
const FEED_FORWARD: &str = "OtolithFeedForward";
const ATTENTION: &str = "OtolithAttention";
const BAND_ENCODER: &str = "OtolithBandEncoder";
const BAND_HEAD: &str = "OtolithBandHead";
