//! `footpath-bindgen generate --library libfootpath.so --language kotlin --out-dir ...`
//!
//! A program of its own, of the very version of UniFFI that the library is built with.

fn main() {
    uniffi::uniffi_bindgen_main();
}
