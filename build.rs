//! Turns `src/dsp/relaxed.wat` into the bytes that `src/wasm/relaxed.rs` hands out.

fn main() {
    println!("cargo::rerun-if-changed=src/dsp/relaxed.wat");
    #[cfg(feature = "neural")]
    {
        let module = wat::parse_file("src/dsp/relaxed.wat").unwrap_or_else(|error| panic!("{error}"));
        let folder = std::env::var("OUT_DIR").unwrap_or_else(|error| panic!("cargo sets OUT_DIR: {error}"));
        let file = std::path::Path::new(&folder).join("relaxed.wasm");
        std::fs::write(&file, module).unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
    }
}
