//! The separation's own arithmetic in wasm, against closed forms.

use otolith::separate::{Conditioning, SeparationOptions, Separator};
use otolith::{Audio, Limits};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::mask_network::model;
use crate::signal::melody;

#[wasm_bindgen_test]
fn constant_masks_give_the_scaled_mix_through_chunks_and_joins() {
    let mix = melody(1, 0.5, 44_100, 8 * 44_100);
    let audio = Audio::new(vec![mix.clone()], 44_100, &Limits::default()).unwrap();
    let options = SeparationOptions { chunk: Some(6.0), ..SeparationOptions::default() };
    let model = model(&["vocals", "instrumental"], "instrumental", |_, stem| [0.25, 0.75][stem]);
    let stems = Separator::new(model, options, Conditioning::Off).separate(audio, &mut |_| {}).unwrap();
    for (stem, share) in stems.stems.iter().zip([0.25_f32, 0.75]) {
        let peak = stem.channels[0].iter().zip(&mix).map(|(stem, mix)| (stem - share * mix).abs()).fold(0.0, f32::max);
        assert!(20.0 * peak.log10() <= -110.0, "{}: {peak}", stem.name);
    }
}
