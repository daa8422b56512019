//! Logarithmic band energies and their positive change from frame to frame.
