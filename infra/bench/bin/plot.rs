//! `scripts/docs.sh`: the picture of `docs/pricing.md`, to standard output.

#![expect(clippy::print_stdout, reason = "the picture is the output")]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", bench::plot::curve()?);
    Ok(())
}
