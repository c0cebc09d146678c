//! No answer is another user's: a thousand users over shared connections, with reloads under way.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::backend::Echo;
use crate::load::Load;
use crate::pick;
use crate::support::Builder;
use crate::users::Users;

/// Every so manieth request saves.
const SAVES: u64 = 4;

#[test]
fn isolation() {
    let backend = Echo::start();
    let sidecar = Builder::new(&backend.url()).forget_access().start();
    let users = Arc::new(Users::new(pick(100, 1000)));
    let (asks, hears) = (Arc::clone(&users), Arc::clone(&users));
    let load = Load::on(sidecar.address()).connections(64).count(pick(2000, 1_000_000)).start(
        move |number| asks.request(number, number % SAVES == 0),
        move |number, reply| hears.check(number, number % SAVES == 0, reply),
    );
    let mut reloads = 0;
    while load.begun() < pick(2000, 1_000_000) {
        sidecar.signal("HUP");
        reloads += 1;
        thread::sleep(Duration::from_millis(pick(20, 200)));
    }
    let figures = load.finish();
    println!("isolation: {figures}, {reloads} reloads, {} mixed up", users.mixed_up());
    figures.assert_none_failed();
    assert_eq!((users.mixed_up(), users.lost()), (0, 0));
    let taken = sidecar.count(r#"cloakroom_config_reloads_total{outcome="success"}"#);
    assert!(taken > 0.0, "no reload");
}
