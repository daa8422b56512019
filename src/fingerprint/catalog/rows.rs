//! What the rows of a catalogue's parts are, and the cells that embeddings among them are sorted into.

use super::index::Index;
use super::io::Io;
use super::roster::{Part, Roster};
use crate::error::{Error, Result};
use crate::fingerprint::cells::{Cells, EXHAUSTIVE, Pace};
use crate::fingerprint::embedder::EmbedderId;
use crate::fingerprint::print::{Algorithm, Print, Scheme};
use crate::fingerprint::wire::Reader;

/// Times the number of embeddings that they were learnt from at which cells are learnt anew.
const GROWTH: usize = 2;

/// The form of rows. A catalogue takes it from the first print that has some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowForm {
    /// Bytes of a row; 0 until a print has rows.
    pub bytes: usize,
    /// The network whose embeddings they are, in a neural catalogue.
    pub embedder: Option<EmbedderId>,
}

impl RowForm {
    /// The form of a print's rows, each of `bytes` bytes.
    pub fn of(print: &Print, bytes: usize) -> Self {
        Self { bytes, embedder: print.embedder().cloned() }
    }

    /// Checks that a print's rows have this form.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a print by another network, naming both.
    pub fn check(&self, print: &Print) -> Result<()> {
        match (&self.embedder, print.embedder()) {
            (Some(own), Some(given)) if !own.agrees_with(given) => Err(Error::invalid(format!(
                "the print is by the model {given}, the catalogue holds prints by {own}: extract it with that model, or open another catalogue"
            ))),
            _ => Ok(()),
        }
    }

    /// Appends it as bytes: length of a row u32, and where they are embeddings the network.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.bytes as u32).to_le_bytes());
        if let Some(embedder) = &self.embedder {
            embedder.encode(bytes);
        }
    }

    /// Reads what [`RowForm::encode`] wrote in a catalogue of this scheme.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the byte for anything else.
    pub fn decode(reader: &mut Reader<'_>, scheme: Scheme) -> Result<Self> {
        let bytes = u32::from_le_bytes(reader.take()?) as usize;
        if bytes == 0 || scheme.algorithm() != Algorithm::Neural {
            return Ok(Self { bytes, embedder: None });
        }
        let embedder = EmbedderId::decode(reader)?;
        if embedder.dimensions != bytes {
            return Err(reader.damaged(2, format!("embeddings of {} numbers in rows of {bytes} bytes", embedder.dimensions)));
        }
        Ok(Self { bytes, embedder: Some(embedder) })
    }
}

impl Index {
    /// Sorts embeddings into cells where there are many: new ones, and all if their number has doubled. In bounded steps.
    pub(super) async fn sort_into_cells(&mut self, io: &Io) {
        let form = self.row_form();
        let dimensions = form.bytes;
        let count = self.postings() - self.dead_postings();
        if form.embedder.is_none() || count <= EXHAUSTIVE {
            self.set_cells(None);
            return;
        }
        let mut pace = Pace::new(async || io.pause().await);
        let known = self.take_cells().filter(|cells| count < GROWTH * cells.learnt_from());
        let is_known = known.is_some();
        let cells = match known {
            Some(cells) => cells,
            None => {
                let live = self.rosters().flat_map(live_parts).flat_map(|part| embeddings(part, dimensions));
                Cells::learn(count, dimensions, live.filter(|one| one.iter().any(|&value| value != 0)), &mut pace).await
            }
        };
        for part in self.rosters_mut().flat_map(|roster| roster.parts.iter_mut()) {
            if !is_known || part.cells.len() * dimensions != part.rows.len() {
                part.cells = cells.sorted(embeddings(part, dimensions), &mut pace).await;
            }
        }
        self.set_cells(Some(cells));
    }
}

fn live_parts(roster: &Roster) -> impl Iterator<Item = &Part> {
    roster.tracks.iter().filter(|track| track.is_live).flat_map(|track| roster.parts_of(track))
}

fn embeddings(part: &Part, dimensions: usize) -> std::slice::ChunksExact<'_, i8> {
    bytemuck::cast_slice::<u8, i8>(&part.rows).chunks_exact(dimensions.max(1))
}
