//! Are these the bytes that the manifest names?

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::manifest::Graph;
use crate::error::{Error, Result};

/// SHA-256 (FIPS 180-4) of `bytes`, 64 lower-case hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Checks length and digest of a model's bytes and returns the digest. Where the manifest names no length or digest (a model whose bytes
/// the user brings along), nothing is compared.
///
/// # Errors
/// [`Error::ModelLoad`] for a wrong length, [`Error::ModelIntegrity`] for a wrong digest.
pub fn verify(model: &str, graph: &Graph, bytes: &[u8]) -> Result<String> {
    if let Some(expected) = graph.bytes
        && expected != bytes.len() as u64
    {
        return Err(Error::ModelLoad {
            name: model.to_owned(),
            what: format!("{} has {} bytes, its manifest says {expected}: download it again", graph.file, bytes.len()),
        });
    }
    let found = sha256(bytes);
    match &graph.sha256 {
        Some(expected) if *expected != found => Err(Error::ModelIntegrity { name: model.to_owned(), expected: expected.clone(), found }),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::{sha256, verify};
    use crate::model::manifest::Graph;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        // FIPS 180-4 example messages, as published with the standard.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn a_wrong_length_is_a_load_error_and_a_wrong_digest_an_integrity_error() {
        let mut graph = Graph { role: "model".into(), file: "abc.onnx".into(), bytes: Some(3), sha256: Some(sha256(b"abc")) };
        assert_eq!(verify("abc", &graph, b"abc").unwrap(), sha256(b"abc"));
        assert_eq!(verify("abc", &graph, b"abcd").unwrap_err().kind(), "model-load");
        assert_eq!(verify("abc", &graph, b"abd").unwrap_err().kind(), "model-integrity");
        (graph.bytes, graph.sha256) = (None, None);
        assert_eq!(verify("abc", &graph, b"abd").unwrap(), sha256(b"abd"));
    }
}
