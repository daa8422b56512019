//! Parts of our own networks as single steps: found in the graph by what they compute, run by kernels that keep what lies between in a
//! few rows. A graph without such parts stays as it is.

mod attention;
mod feed_forward;
mod operator;
mod pattern;
mod tile;

pub(super) use operator::register;
pub(super) use pattern::fuse;

/// Domain of the operators that [`fuse`] puts in and [`register`] reads.
const DOMAIN: &str = "otolith";
const FEED_FORWARD: &str = "OtolithFeedForward";
const ATTENTION: &str = "OtolithAttention";
