//! Running maximum and median.
