//! Tests that the picture in the documents is the one that the code draws.

use std::path::Path;

#[test]
fn the_committed_picture_is_what_the_advice_draws() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pricing-curve.svg");
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == bench::plot::curve().unwrap(), "run ./scripts/docs.sh");
}
