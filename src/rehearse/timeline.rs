//! The picture of one rehearsal: answers and failures over time, the phases as bands, what was in flight as a
//! line. Inline SVG, whose colours are the page's.

use std::fmt::Write;
use std::time::Duration;

use super::Rehearsal;

/// The picture's own units.
const WIDTH: f64 = 1000.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 956.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 280.0;
const HEIGHT: f64 = 312.0;

/// As many bars at most: wide enough to be seen, narrow enough to show a moment.
const BARS: f64 = 152.0;

/// A bar stands for so many requests at least, else it shows chance.
const REQUESTS: f64 = 4.0;

/// The width of a letter of a label.
const LETTER: f64 = 7.2;

/// The lengths of time that a bar may stand for, in milliseconds.
const STEPS: [u64; 10] = [10, 20, 50, 100, 200, 500, 1000, 5000, 10_000, 60_000];

#[derive(Debug, Clone, Copy, Default)]
struct Bar {
    answered: usize,
    failed: usize,
}

/// The drawing.
struct Scale {
    end: f64,
    step: Duration,
    most: f64,
    most_in_flight: f64,
}

impl Scale {
    fn x(&self, at: Duration) -> f64 {
        LEFT + (RIGHT - LEFT) * (at.as_secs_f64() / self.end).min(1.0)
    }

    fn y(&self, number: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * number / self.most
    }

    fn y_in_flight(&self, number: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * number / self.most_in_flight
    }
}

/// The picture.
#[must_use]
pub(super) fn svg(rehearsal: &Rehearsal) -> String {
    let recorded = &rehearsal.recorded;
    let last = recorded.requests.iter().map(|request| request.ended).max();
    let end = last
        .unwrap_or_default()
        .max(recorded.ended)
        .max(Duration::from_millis(100));
    let apart = end.as_secs_f64() * 1000.0 / recorded.requests.len().max(1) as f64;
    let wanted = (end.as_secs_f64() * 1000.0 / BARS).max(apart * REQUESTS);
    let millis = STEPS
        .into_iter()
        .find(|step| *step as f64 >= wanted)
        .unwrap_or(600_000);
    let step = Duration::from_millis(millis);
    let bars = bars(rehearsal, step, end);
    let most = bars
        .iter()
        .map(|bar| bar.answered + bar.failed)
        .max()
        .unwrap_or(0);
    let most_in_flight = recorded
        .in_flight
        .iter()
        .map(|(_, number)| *number)
        .max()
        .unwrap_or(0);
    let scale = Scale {
        end: end.as_secs_f64(),
        step,
        most: most.max(1) as f64 * 1.1,
        most_in_flight: most_in_flight.max(1) as f64 * 1.4,
    };
    let mut svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Requests over time: {} answered, {} failed">"#,
        recorded.requests.len() - rehearsal.figures.failed(),
        rehearsal.figures.failed()
    );
    // Writing to a string does not fail.
    let _ = bands(&mut svg, rehearsal, &scale);
    let _ = axes(&mut svg, &scale, most, most_in_flight);
    let _ = columns(&mut svg, &bars, &scale);
    let _ = line(&mut svg, rehearsal, &scale);
    svg.push_str("</svg>");
    svg
}

fn bars(rehearsal: &Rehearsal, step: Duration, end: Duration) -> Vec<Bar> {
    let number = |at: Duration| usize::try_from(at.as_nanos() / step.as_nanos().max(1)).unwrap_or(0);
    let mut bars = vec![Bar::default(); number(end) + 1];
    for request in &rehearsal.recorded.requests {
        let bar = &mut bars[number(request.ended).min(number(end))];
        match request.failure {
            None => bar.answered += 1,
            Some(_) => bar.failed += 1,
        }
    }
    bars
}

/// The phases, and over all of them their names, in as many rows as it takes for none to lie on another.
fn bands(svg: &mut String, rehearsal: &Rehearsal, scale: &Scale) -> std::fmt::Result {
    let mut names = String::new();
    let mut rows = [f64::MIN; 3];
    for (number, spell) in rehearsal.figures.spells.iter().enumerate() {
        let (from, to) = (scale.x(spell.from), scale.x(spell.to));
        let shade = if number % 2 == 0 { "even" } else { "odd" };
        let width = (to - from).max(0.5);
        write!(
            svg,
            r#"<rect class="band {shade}" x="{from:.1}" y="0" width="{width:.1}" height="{BOTTOM}"/><line class="mark" x1="{from:.1}" x2="{from:.1}" y1="0" y2="{BOTTOM}"/>"#
        )?;
        let name = spell.phase.word();
        let row = rows
            .iter()
            .position(|taken| *taken <= from)
            .unwrap_or(rows.len() - 1);
        rows[row] = from + name.len() as f64 * LETTER + 10.0;
        write!(
            names,
            r#"<text class="phase" x="{:.1}" y="{:.1}">{name}</text>"#,
            from + 4.0,
            TOP - 10.0 - 18.0 * row as f64
        )?;
    }
    svg.push_str(&names);
    Ok(())
}

fn axes(svg: &mut String, scale: &Scale, most: usize, most_in_flight: u64) -> std::fmt::Result {
    let y = scale.y(most as f64);
    write!(
        svg,
        r#"<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{BOTTOM}"/><line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1}" y2="{y:.1}"/><text class="tick end" x="{:.1}" y="{:.1}">{most}</text><text class="tick end" x="{:.1}" y="{BOTTOM}">0</text>"#,
        LEFT - 6.0,
        y + 4.0,
        LEFT - 6.0
    )?;
    if most_in_flight > 0 {
        write!(
            svg,
            r#"<text class="tick flight" x="{:.1}" y="{:.1}">{most_in_flight}</text>"#,
            RIGHT + 6.0,
            scale.y_in_flight(most_in_flight as f64) + 4.0
        )?;
    }
    // Six to twelve marks of whole seconds (or tenths, for a short one).
    let seconds = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 600.0];
    let apart = seconds
        .into_iter()
        .find(|apart| scale.end / apart <= 12.0)
        .unwrap_or(1800.0);
    for number in 0..=(scale.end / apart) as u32 {
        let at = Duration::from_secs_f64(apart * f64::from(number));
        write!(
            svg,
            r#"<text class="tick middle" x="{:.1}" y="{:.1}">{} s</text>"#,
            scale.x(at),
            BOTTOM + 20.0,
            (at.as_secs_f64() * 10.0).round() / 10.0
        )?;
    }
    Ok(())
}

/// Answers, and failures on top of them: never so few that they could not be seen.
fn columns(svg: &mut String, bars: &[Bar], scale: &Scale) -> std::fmt::Result {
    for (number, bar) in (0_u32..).zip(bars) {
        if bar.answered + bar.failed == 0 {
            continue;
        }
        let (from, to) = (scale.x(scale.step * number), scale.x(scale.step * (number + 1)));
        let width = (to - from - 0.8).max(0.8);
        let answered = scale.y(bar.answered as f64);
        write!(
            svg,
            r#"<g><title>{:.2} s: {} answered, {} failed</title><rect class="answered" x="{from:.1}" y="{answered:.1}" width="{width:.1}" height="{:.1}"/>"#,
            (scale.step * number).as_secs_f64(),
            bar.answered,
            bar.failed,
            BOTTOM - answered
        )?;
        if bar.failed > 0 {
            let height = (answered - scale.y((bar.answered + bar.failed) as f64)).max(4.0);
            write!(
                svg,
                r#"<rect class="failed" x="{from:.1}" y="{:.1}" width="{:.1}" height="{height:.1}"/>"#,
                answered - height,
                width.max(2.0)
            )?;
        }
        svg.push_str("</g>");
    }
    Ok(())
}

/// What was in flight at this host, step by step.
fn line(svg: &mut String, rehearsal: &Rehearsal, scale: &Scale) -> std::fmt::Result {
    let points = &rehearsal.recorded.in_flight;
    if points.is_empty() {
        return Ok(());
    }
    let mut path = String::new();
    for (at, number) in points {
        let (x, y) = (scale.x(*at), scale.y_in_flight(*number as f64));
        if path.is_empty() {
            write!(path, "M{x:.1} {y:.1}")?;
        } else {
            write!(path, "H{x:.1}V{y:.1}")?;
        }
    }
    // On a border of its own, so that it is seen on bars too.
    write!(
        svg,
        r#"<path class="border" d="{path}H{RIGHT}"/><path class="in-flight" d="{path}H{RIGHT}"/>"#
    )
}
