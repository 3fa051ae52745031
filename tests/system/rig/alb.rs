//! A stand-in for an application load balancer: HAProxy carries the requests, the fake of AWS's API holds the
//! target group, and a thread lets the one follow the other as late as the real one does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lb_drain_test_support::elbv2::{Elbv2, TargetGroup};
use lb_drain_test_support::imds::INSTANCE_ID;

use super::{Haproxy, Network, Setup};

/// The port of `app1`, which is this host's.
pub(crate) const PORT: u16 = 8081;

/// How long new requests still come after a deregistration. Field reports tell of 10 s and more; nearly all of it
/// passes within the floor of 15 s.
pub(crate) const LATE: Duration = Duration::from_secs(8);

/// A target group `web` with `app1` (this host) and `app2`, its API and its data plane.
pub(crate) struct Alb {
    pub(crate) api: Arc<Elbv2>,
    pub(crate) arn: String,
    pub(crate) data_plane: Arc<Haproxy>,
    over: Arc<AtomicBool>,
    follower: Option<JoinHandle<()>>,
}

impl Alb {
    /// Starts it in this network, with HAProxy's files in `folder`. The target group has AWS's default delay, 300 s.
    pub(crate) fn start(network: &Network, folder: &Path) -> Self {
        let api = Arc::new(network.inside(Elbv2::start));
        let arn = api.add(TargetGroup {
            warm_up: Duration::from_millis(500),
            ..TargetGroup::new("web")
        });
        api.register(&arn, INSTANCE_ID, PORT, None, "healthy");
        api.register(&arn, "i-00000000000000def", 8082, None, "healthy");
        let setup = Setup {
            backend: "use-server app1 if { req.hdr(x-server) app1 }",
            ..Setup::default()
        };
        let data_plane = Arc::new(Haproxy::start(network, folder, setup));
        let over = Arc::new(AtomicBool::new(false));
        let follower = thread::spawn({
            let (api, arn) = (Arc::clone(&api), arn.clone());
            let (data_plane, over) = (Arc::clone(&data_plane), Arc::clone(&over));
            move || follow(&api, &arn, &data_plane, &over)
        });
        Self {
            api,
            arn,
            data_plane,
            over,
            follower: Some(follower),
        }
    }

    /// What the target group holds of this host: `healthy`, for example.
    pub(crate) fn state(&self) -> Option<String> {
        self.api.truth(&self.arn, INSTANCE_ID, PORT)
    }
}

impl Drop for Alb {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(follower) = self.follower.take() {
            // Its panic has been printed, and the test asserts what comes of it.
            let _ = follower.join();
        }
    }
}

/// Only healthy targets get new requests, [`LATE`] after they have ceased to be; what is in flight goes on.
fn follow(api: &Elbv2, arn: &str, data_plane: &Haproxy, over: &AtomicBool) {
    let mut healthy = Instant::now();
    let mut routed = true;
    while !over.load(Ordering::Relaxed) {
        let now = Instant::now();
        let is_healthy = api.truth(arn, INSTANCE_ID, PORT).as_deref() == Some("healthy");
        if is_healthy {
            healthy = now;
        }
        let wanted = is_healthy || now < healthy + LATE;
        if wanted != routed {
            let state = if wanted { "ready" } else { "drain" };
            data_plane.tell(&format!("set server web/app1 state {state}"));
            routed = wanted;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
