//! Short-time Fourier transform with exact inverse.
