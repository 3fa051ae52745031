//! Leaving and coming back.

use lb_drain_api::{Firmness, Rotation, Target};

use crate::haproxy::Haproxy;

const WEB: &str = "
frontend front
  bind {dir}/front.sock
  default_backend web
backend web
  server app1 127.0.0.1:8080 weight 20
  server app2 127.0.0.1:8081
";

#[tokio::test]
async fn a_server_leaves_and_comes_back_as_it_was() {
    let Some(haproxy) = Haproxy::start(WEB) else {
        return;
    };
    let balancer = haproxy.balancer("admin.sock", &["web/app1"]);
    let app1 = Target::new("web/app1");
    let found = balancer.find().await.expect("finds");
    assert_eq!(found.len(), 1);
    let view = found[0].view.as_ref().expect("a view");
    assert_eq!(view.rotation, Rotation::InService);
    assert_eq!(
        (view.state.as_str(), view.in_flight, view.ports.as_slice()),
        ("no check", Some(0), &[8080][..])
    );

    balancer.deregister(&app1, Firmness::Drain).await.expect("drains");
    assert_eq!(haproxy.admin("web/app1"), 8);
    let out = balancer.look(&app1).await.expect("looks");
    assert_eq!((out.rotation, out.state.as_str()), (Rotation::Out, "DRAIN"));

    balancer
        .deregister(&app1, Firmness::Firm)
        .await
        .expect("goes to maint");
    assert_eq!(haproxy.admin("web/app1"), 1);
    assert_eq!(balancer.look(&app1).await.expect("looks").state, "MAINT");
}
