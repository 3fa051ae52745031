//! Live progress on a terminal: a line for each load balancer.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lb_drain_api::duration::human;

use super::in_flight;
use crate::budget::Deadline;
use crate::engine::{Ledger, Standing};

/// Ten times a second looks alive and costs nothing.
const REDRAW: Duration = Duration::from_millis(100);

/// Draws until dropped. `failing` says how a host stands that the command could not help yet.
pub async fn draw(screen: MultiProgress, ledger: Ledger, deadline: Deadline, failing: &'static str) {
    let mut bars: Vec<ProgressBar> = Vec::new();
    loop {
        for (number, member) in ledger.members().iter().enumerate() {
            if number == bars.len() {
                let style = ProgressStyle::with_template("{spinner} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                bars.push(screen.add(ProgressBar::new_spinner().with_style(style)));
            }
            let what = match member.standing {
                Standing::In => failing.to_owned(),
                Standing::Out => format!("out, {}", in_flight(member.in_flight)),
                Standing::Drained => "drained".to_owned(),
                Standing::Failed => "failed".to_owned(),
                Standing::Back => "back in rotation".to_owned(),
                Standing::LeftOut | Standing::KeptOut => "left out".to_owned(),
            };
            let target = member.target.as_deref().unwrap_or_default();
            bars[number].set_message(format!(
                "{}  {} {target}  {what}  {} left",
                member.name,
                member.endpoint,
                human(deadline.left())
            ));
            bars[number].tick();
        }
        tokio::time::sleep(REDRAW).await;
    }
}
