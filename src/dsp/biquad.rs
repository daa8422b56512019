//! Second-order filter sections.
