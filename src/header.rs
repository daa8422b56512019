//! The 32-byte header that every stored format of otolith begins with.
