//! Models: manifest, integrity, and (feature `neural`) the network runtime.
