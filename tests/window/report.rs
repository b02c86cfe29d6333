//! Handing on: the report of what is shown, and the shown picture.

use crate::fixture::Fed;
use egui::{Key, Modifiers, OutputCommand};
use egui_kittest::kittest::Queryable as _;
use pentimento::{
    app::Action,
    engine::{Event, Job, ViewRequest},
    study::Thresholds,
};
use std::time::{Duration, Instant};

#[test]
fn ctrl_e_asks_for_a_report_at_the_thresholds_shown() {
    let mut fed = Fed::plain();
    fed.open(true);
    let thresholds = Thresholds {
        foreground: 0.7,
        background: 0.6,
    };
    fed.harness
        .state_mut()
        .ask(Action::SetThresholds(thresholds, None));
    fed.settle();
    fed.harness.key_press_modifiers(Modifiers::COMMAND, Key::E);
    fed.settle();
    let ticket = fed.started.pop().expect("a job");
    let Job::Report(job) = &ticket.job else {
        panic!("{:?}", ticket.job)
    };
    assert_eq!(
        (job.thresholds, job.runs.len(), &job.out),
        (Some(thresholds), 0, &None)
    );
    assert!(!fed.harness.state().state().is_running(), "a report is no run");
    fed.tell(Event::Written("reports/abc.html".into()));
    fed.tell(Event::Finished(ticket.id));
    fed.settle();
    fed.harness.get_by_label_contains("reports/abc.html");
}

#[test]
fn tables_and_animations_are_asked_for_from_the_menu() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.settle();
    fed.harness.get_by_label("Study").click();
    fed.settle();
    fed.harness
        .get_by_label_contains("Export report and tables")
        .click();
    fed.settle();
    let ticket = fed.started.pop().expect("a job");
    assert!(matches!(&ticket.job, Job::Report(job) if job.tables));

    fed.harness.get_by_label("Study").click();
    fed.settle();
    fed.harness.get_by_label_contains("Export Reveal as WebP").click();
    fed.harness.run_steps(3);
    let request = fed.engine.views.try_iter().find_map(|request| match request {
        ViewRequest::Reveal(request) => Some(request),
        _ => None,
    });
    let request = request.expect("an animation is asked for");
    let key = fed.harness.state().state().selection.key().unwrap();
    assert_eq!(request.name, format!("{key}-reveal.webp"));
    assert!(request.pair.has_training());
    fed.tell(Event::Written("reports/a-reveal.webp".into()));
    fed.settle();
    fed.harness.get_by_label_contains("reports/a-reveal.webp");
}

#[test]
fn ctrl_c_copies_the_picture_with_its_overlay() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.settle();
    let pair = fed
        .harness
        .state()
        .state()
        .pair
        .clone()
        .expect("a pair on the Stage");
    // As the platform's layer tells Ctrl C.
    fed.harness.event(egui::Event::Copy);
    let deadline = Instant::now() + Duration::from_secs(30);
    let copied = loop {
        fed.harness.run_steps(1);
        let found = fed
            .harness
            .output()
            .platform_output
            .commands
            .iter()
            .find_map(|c| match c {
                OutputCommand::CopyImage(image) => Some(image.clone()),
                _ => None,
            });
        if let Some(image) = found {
            break image;
        }
        assert!(Instant::now() < deadline, "nothing was copied");
        std::thread::sleep(Duration::from_millis(5));
    };
    let (width, height) = pair.generated.dimensions();
    assert_eq!(copied.size, [width as usize, height as usize]);
    let plain: Vec<u8> = copied.pixels.iter().flat_map(|p| [p.r(), p.g(), p.b()]).collect();
    assert_ne!(&plain, pair.generated.as_raw(), "the overlay is on it");
}
