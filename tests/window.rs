//! The window, fed with events by hand.

#[path = "window/fixture.rs"]
mod fixture;

use fixture::Fed;

#[test]
fn placeholder() {
    let mut fed = Fed::plain();
    fed.open(true);
    assert_eq!(fed.harness.state().state().study.len(), 40);
}
