//! Channel maps: any layout to mono or stereo.
