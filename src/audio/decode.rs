//! Encoded files to [`Audio`](super::Audio), a packet at a time.
