//! Analysis windows.
