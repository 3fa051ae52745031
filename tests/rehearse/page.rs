//! The page in Chromium: it opens without errors, and its picture shows what failed.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use lb_drain_test_support::balancer::Manner;

use crate::scene::Scene;

/// The colour of failed requests by day and by night: `--failed` in `src/rehearse/page.html`.
const FAILED: [(&str, [u8; 3]); 2] = [("light", [0xd6, 0x22, 0x1f]), ("dark", [0xff, 0x5a, 0x52])];

/// Failures of two seconds have more pixels in the figure.
const BARS: usize = 500;

/// Opens a page and returns how many pixels of its picture have that colour.
fn pixels(page: &Path, theme: &str, colour: [u8; 3]) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = page.with_extension(format!("{theme}.png"));
    let mut command = Command::new("chromium");
    if theme == "dark" {
        command.arg("--force-dark-mode");
    }
    let output = command
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
        ])
        .args(["--hide-scrollbars", "--window-size=1080,1000"])
        .arg(format!("--user-data-dir={}", folder.path().display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // What a page does wrong is told on its console.
    assert!(!said.contains("CONSOLE"), "{said}");
    let decoder = png::Decoder::new(BufReader::new(File::open(&picture).expect("a picture")));
    let mut reader = decoder.read_info().expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut bytes).expect("a frame");
    bytes[..info.buffer_size()]
        .chunks(info.color_type.samples())
        .filter(|pixel| pixel[..3] == colour)
        .count()
}

/// A page that shows nothing but the figure of this one: verdict and legend are in the same colours.
fn figure(page: &Path) -> PathBuf {
    let html = std::fs::read_to_string(page).expect("the page");
    let (head, body) = html.split_once("<body>").expect("a body");
    let (_, svg) = body.split_once("<svg").expect("a figure");
    let (svg, _) = svg.split_once("</svg>").expect("a whole one");
    let path = page.with_extension("figure.html");
    std::fs::write(&path, format!("{head}<body><svg{svg}</svg></body></html>")).expect("writes it");
    path
}

#[test]
fn the_picture_shows_failed_requests_and_none_where_none_failed() {
    let good = Scene::new(Manner::default());
    let url = good.url(20);
    let page = good.path("good.html");
    let options = [
        "--url",
        &url,
        "--duration",
        "2s",
        "--report",
        page.to_str().expect("a path"),
    ];
    good.rehearse(&options).wait().assert_code(0);

    let bad = Scene::new(Manner::default());
    let (url, missing) = (bad.url(20), format!("http://{}/elsewhere", bad.balancer.front()));
    let other = bad.path("bad.html");
    let options = [
        "--url",
        &url,
        "--url",
        &url,
        "--url",
        &missing,
        "--duration",
        "2s",
    ];
    let report = ["--report", other.to_str().expect("a path")];
    let ended = bad.rehearse(&[&options[..], &report].concat()).wait();
    ended.assert_code(1);
    assert!(ended.number("failed") > 10, "{ended:#?}");

    for (theme, colour) in FAILED {
        // Opened whole for its errors, and for a person to look at.
        let (_, whole) = (pixels(&page, theme, colour), pixels(&other, theme, colour));
        let (none, some) = (
            pixels(&figure(&page), theme, colour),
            pixels(&figure(&other), theme, colour),
        );
        println!("{theme}: {none} pixels where nothing failed, {some} where something did");
        assert_eq!(none, 0, "{theme}");
        assert!(some > BARS, "{theme}: {some}");
        assert!(whole > some, "{theme}: the verdict has it too: {whole}");
    }
    // Where a person can look at them.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for name in ["good.light.png", "bad.light.png", "bad.dark.png"] {
        let from = if name.starts_with("good") {
            good.path(name)
        } else {
            bad.path(name)
        };
        std::fs::copy(from, kept.join(name)).expect("copies the picture");
    }
}
