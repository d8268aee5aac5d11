//! Draws the demand curve of an example of price advice, for `docs/pricing.md`.

use std::error::Error;

use plotters::prelude::*;
use pricing::ladder::{Rails, STEP_MAX};
use pricing::{Arm, Arms, Beliefs, Margin, Policy, PriceAnswer, PriceQuestion};

/// Width and height of the picture, in pixels.
const SIZE: (u32, u32) = (720, 400);
const INK: RGBColor = RGBColor(30, 41, 59);
const CURVE: RGBColor = RGBColor(37, 99, 235);
const SOLD: RGBColor = RGBColor(217, 119, 6);
/// The history of a message that costs 9 dollars and was tried at two other prices: cents, offers, sales.
const OFFERS: [(f64, f64, f64); 3] = [(900.0, 600.0, 300.0), (1200.0, 300.0, 135.0), (1900.0, 100.0, 35.0)];
/// The current price, in cents.
const PRICE: f64 = 900.0;

/// The advice that is drawn.
fn answer() -> Result<PriceAnswer, Box<dyn Error>> {
    let arms = Arms::new(&OFFERS.map(|(price, offered, sold)| Arm { price, offered, sold }))?;
    let revenue = Margin { fee: 0.0, unit_cost: 0.0 };
    let question = PriceQuestion {
        arms: &arms,
        beliefs: &Beliefs::weak(),
        price: PRICE,
        rails: Rails { min: 1.0, max: 10_000.0, step: STEP_MAX },
        objective: revenue,
        profit: revenue,
        policy: Policy::Ladder,
        seed: 1,
    };
    Ok(question.answer())
}

/// The revenue of an offer by price, as an SVG: the median, the 90 % interval, what was sold, and the price to test.
///
/// # Errors
/// An error of the drawing library.
pub fn curve() -> Result<String, Box<dyn Error>> {
    let answer = answer()?;
    let points: Vec<_> =
        answer.curve.iter().map(|p| (p.price / 100.0, p.buys.times(p.price / 100.0))).collect();
    let (from, to) = (points[0].0, points[points.len() - 1].0);
    let top = points.iter().map(|(_, revenue)| revenue.p95).fold(0.0, f64::max) * 1.1;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(from..to, 0.0..top)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("price, USD").y_desc("revenue of an offer, USD").axis_style(INK.mix(0.5));
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.08))
            .label_style(("sans-serif", 13, &INK))
            .draw()?;
        let mut band: Vec<_> = points.iter().map(|(price, revenue)| (*price, revenue.p05)).collect();
        band.extend(points.iter().rev().map(|(price, revenue)| (*price, revenue.p95)));
        chart.draw_series([Polygon::new(band, CURVE.mix(0.15))])?;
        let median = points.iter().map(|(price, revenue)| (*price, revenue.p50));
        chart.draw_series(LineSeries::new(median, CURVE.stroke_width(2)))?;
        for (price, color) in [(PRICE, INK.mix(0.6)), (answer.price, SOLD.mix(0.9))] {
            let line = [(price / 100.0, 0.0), (price / 100.0, top)];
            chart.draw_series(LineSeries::new(line, color.stroke_width(1)))?;
        }
        let label = |text: String, price: f64, height: f64, color: &'static RGBColor| {
            Text::new(
                text,
                (price / 100.0 + 0.15, top * height),
                ("sans-serif", 13, color).into_text_style(&area),
            )
        };
        chart.draw_series([
            label(format!("now {:.2}", PRICE / 100.0), PRICE, 0.12, &INK),
            label(format!("test {:.2}", answer.price / 100.0), answer.price, 0.06, &SOLD),
        ])?;
        let sold =
            OFFERS.iter().map(|(price, offered, sold)| (price / 100.0, price / 100.0 * sold / offered));
        chart.draw_series(sold.map(|at| Circle::new(at, 4, SOLD.filled())))?;
        area.present()?;
    }
    Ok(svg)
}
