//! Prints the picture of `docs/pricing.md` as an SVG; `scripts/docs.sh` runs it.

#![expect(clippy::print_stdout, reason = "the picture is the output")]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", bench::plot::curve()?);
    Ok(())
}
