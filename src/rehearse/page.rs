//! The report as one page that needs nothing else: no script, no font, no network.

use std::fmt::Write;

use lb_drain_api::duration::human;

use super::text::kinds;
use super::{Rehearsal, text, timeline};

/// Everything that does not change.
const TEMPLATE: &str = include_str!("page.html");

/// The page. `about` says in a line what was rehearsed, where and when.
#[must_use]
pub fn html(title: &str, about: &str, rehearsals: &[Rehearsal]) -> String {
    let mut sections = String::new();
    for rehearsal in rehearsals {
        if rehearsals.len() > 1 {
            sections.push_str(&format!("<h2>{}</h2>\n", escaped(&rehearsal.title)));
        }
        // Writing to a string does not fail.
        let _ = section(&mut sections, rehearsal);
    }
    let mut page = String::new();
    let mut rest = TEMPLATE;
    // Piece by piece, so that nothing in the contents is taken for a place of its own.
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        match name {
            "title" => page.push_str(&escaped(title)),
            "about" => page.push_str(&escaped(about)),
            _ => page.push_str(&sections),
        }
        rest = after;
    }
    page + rest
}

fn section(page: &mut String, rehearsal: &Rehearsal) -> std::fmt::Result {
    let figures = &rehearsal.figures;
    let tone = if figures.failed() == 0 && rehearsal.deeds.troubles.is_empty() {
        "good"
    } else {
        "bad"
    };
    writeln!(
        page,
        r#"<p class="verdict {tone}">{}</p>"#,
        escaped(&text::verdict(rehearsal))
    )?;
    for trouble in &rehearsal.deeds.troubles {
        writeln!(page, r#"<p class="bad">{}</p>"#, escaped(trouble))?;
    }
    writeln!(page, "<figure>{}", timeline::svg(rehearsal))?;
    page.push_str(concat!(
        r#"<figcaption><span><i style="background:var(--answered)"></i>answered</span>"#,
        r#"<span><i style="background:var(--failed)"></i>failed</span>"#,
        r#"<span><i class="line"></i>in flight at this host (right)</span></figcaption></figure>"#,
        "\n"
    ));
    page.push_str(r#"<h3>Measured</h3><div class="wide"><table>"#);
    for (name, value) in text::facts(rehearsal) {
        writeln!(
            page,
            r#"<tr><td class="key">{name}</td><td>{}</td></tr>"#,
            escaped(&value)
        )?;
    }
    page.push_str("</table></div>\n");
    if !rehearsal.advice.is_empty() {
        page.push_str(r#"<h3>Write</h3><div class="wide"><table>"#);
        for line in &rehearsal.advice {
            let (text, place, reason) = (escaped(&line.text), escaped(&line.place), escaped(&line.reason));
            writeln!(
                page,
                r#"<tr><td class="key"><code>{text}</code></td><td>{place}: {reason}</td></tr>"#
            )?;
        }
        page.push_str("</table></div>\n");
    }
    page.push_str(concat!(
        r#"<h3>Phase by phase, by when a request was sent</h3><div class="wide"><table><tr><th>phase</th><th class="n">took</th><th class="n">sent</th>"#,
        r#"<th class="n">failed</th><th class="n">p50</th><th class="n">p99</th><th class="n">max</th><th>what failed</th></tr>"#,
    ));
    for spell in &figures.spells {
        let failed: usize = spell.failures.values().sum();
        let tone = if failed == 0 { "n" } else { "n bad" };
        writeln!(
            page,
            r#"<tr><td>{}</td><td class="n">{}</td><td class="n">{}</td><td class="{tone}">{failed}</td><td class="n">{}</td><td class="n">{}</td><td class="n">{}</td><td>{}</td></tr>"#,
            spell.phase,
            human(spell.to - spell.from),
            spell.sent,
            human(spell.latency.p50),
            human(spell.latency.p99),
            human(spell.latency.max),
            escaped(&kinds(&spell.failures))
        )?;
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::{Deeds, Figures, Recorded};

    #[test]
    fn what_others_wrote_is_text_and_nothing_is_left_to_fill_in() {
        let (recorded, deeds) = (Recorded::default(), Deeds::default());
        let rehearsal = Rehearsal {
            title: String::new(),
            aim: String::new(),
            rate: 1,
            figures: Figures::new(&recorded, &deeds),
            recorded,
            deeds: Deeds {
                troubles: vec!["{{sections}} <script>".to_owned()],
                ..deeds
            },
            advice: Vec::new(),
        };
        let page = html("<b>", "a & b", &[rehearsal]);
        assert!(page.contains("<title>&lt;b&gt;</title>"));
        assert!(page.contains("{{sections}} &lt;script&gt;"));
        assert!(!page.contains("<script>"));
        assert_eq!(page.matches("{{").count(), 1);
        for outside in ["src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
