//! Searching for what remembers, from the Bench.

use crate::fixture::Fed;
use egui_kittest::kittest::Queryable as _;
use pentimento::{
    app::{Action, Command, Pane, Scope, SearchChoice, SearchMethod},
    engine::{Event, Job, JobId, LocateJob, Method, StatisticsSource},
};
use std::path::Path;

/// Asks for the search and gives the job that was handed in, if one was.
fn search(fed: &mut Fed, method: SearchMethod, scope: Scope) -> Option<LocateJob> {
    fed.harness.state_mut().ask(Action::SetSearch(SearchChoice {
        method,
        scope,
        clusters: 3,
    }));
    fed.harness.state_mut().ask(Action::Command(Command::Search));
    let before = fed.started.len();
    fed.settle();
    let job = fed.started[before..].iter().find_map(|t| match &t.job {
        Job::Locate(job) => Some((t.id, LocateJob::clone(job))),
        _ => None,
    });
    let (id, job) = job?;
    end(fed, id);
    Some(job)
}

fn end(fed: &mut Fed, id: JobId) {
    fed.tell(Event::Finished(id));
    fed.settle();
}

#[test]
fn the_bench_searches_for_the_prompts_it_says() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness
        .state_mut()
        .ask(Action::Command(Command::Pane(Pane::Bench)));
    fed.settle();
    fed.harness.get_by_label("Search method");
    fed.harness.get_by_label("Search for");

    let job = search(&mut fed, SearchMethod::Neurons, Scope::Copied).unwrap();
    let searched: Vec<u32> = job.prompts.iter().map(|p| p.index).collect();
    assert_eq!(searched, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(job.name, "NeMo");
    assert!(job.write && job.progress.as_deref() == Some(Path::new("drawn/variants/NeMo.toml")));
    let Method::Nemo(nemo) = &job.method else {
        panic!("{:?}", job.method)
    };
    // What is usual comes from the prompts that were not copied.
    let StatisticsSource::Measure(others) = &nemo.statistics else {
        panic!("{:?}", nemo.statistics)
    };
    assert_eq!(others.len(), 3);
    assert!(others.iter().all(|o| job.prompts.iter().all(|p| p.text != *o)));
    assert_eq!(nemo.calibrate.as_ref().unwrap().0.len(), 3);
    assert_eq!(nemo.settings.noise.steps, job.sampling.steps as usize);

    let job = search(&mut fed, SearchMethod::Clusters, Scope::Copied).unwrap();
    assert!(matches!(&job.method, Method::Nemo(nemo) if nemo.clusters.is_some()));
    let job = search(&mut fed, SearchMethod::Guidance, Scope::Chosen).unwrap();
    assert_eq!(job.prompts.len(), 1);
    let job = search(&mut fed, SearchMethod::Pruning, Scope::Chosen).unwrap();
    assert!(matches!(&job.method, Method::Wanda { base, .. } if base.len() == 1));
    let job = search(&mut fed, SearchMethod::Embeddings, Scope::All).unwrap();
    assert_eq!(job.prompts.len(), 10);

    // With every prompt searched for, nothing is left that is usual: a card says what to do, and nothing begins.
    assert!(search(&mut fed, SearchMethod::Neurons, Scope::All).is_none());
    let last = fed.harness.state().state().notices.last().unwrap();
    assert!(
        last.problem.to_string().contains("NeMo needs prompts"),
        "{}",
        last.problem
    );
}

#[test]
fn one_search_at_a_time() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness
        .state_mut()
        .ask(Action::Command(Command::Pane(Pane::Bench)));
    fed.settle();
    let searches = |fed: &Fed| {
        let jobs = fed.started.iter();
        jobs.filter(|t| matches!(t.job, Job::Locate(_))).count()
    };
    fed.harness.state_mut().ask(Action::SetSearch(SearchChoice {
        scope: Scope::Copied,
        ..SearchChoice::default()
    }));
    fed.settle();
    fed.harness.get_by_label("Find what remembers").click();
    fed.settle();
    assert_eq!(searches(&fed), 1);
    fed.harness
        .get_by_label_contains("the same search goes on from there");
    fed.harness.state_mut().ask(Action::Command(Command::Search));
    fed.settle();
    assert_eq!(searches(&fed), 1);
}
