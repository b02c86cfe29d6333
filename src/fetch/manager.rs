//! Getting weights beside other work: a thread for the one that is fetched, another that looks what is there.

use super::{
    catalog::{CATALOG, Model},
    locate::{Found, Places},
    transfer::{Done, Order, Progress, fetch},
};
use crate::study::Problem;
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// How getting one model stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum State {
    /// Under way.
    #[default]
    Begun,
    /// How far it is.
    Going(Progress),
    /// Over.
    Ended(Result<Done, Problem>),
}

/// A model that is being fetched. Dropping it asks it to stop.
#[derive(Debug)]
pub struct Getting {
    /// Its name in the catalogue.
    pub name: &'static str,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
}

impl Getting {
    /// Starts; `wake` is called whenever the state changes.
    pub fn start(order: Order, wake: impl Fn() + Clone + Send + 'static) -> Self {
        let getting = Self {
            name: order.model.name,
            state: Arc::default(),
            stop: Arc::default(),
        };
        let (state, stop) = (getting.state.clone(), getting.stop.clone());
        let set = move |new: State| {
            *state.lock().unwrap_or_else(PoisonError::into_inner) = new;
            wake();
        };
        let begun = thread::Builder::new().name("fetching".into()).spawn({
            let set = set.clone();
            move || {
                let tell = &mut |progress| set(State::Going(progress));
                let result = fetch(&order, &|| stop.load(Ordering::Relaxed), tell);
                set(State::Ended(result));
            }
        });
        if let Err(error) = begun {
            let problem = Problem::new(
                "The weights cannot be fetched now",
                "Close other programs and try again.",
            );
            set(State::Ended(Err(problem.detail(error.to_string()))));
        }
        getting
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks it to stop; what came is kept.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Getting {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What is there of the whole catalogue, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shelf {
    /// Every model, and where it lies.
    pub models: Vec<(Model, Option<Found>)>,
    /// The program's own folder for weights.
    pub own: Option<PathBuf>,
}

impl Shelf {
    /// Looks into the folders. Reads no contents.
    pub fn look(places: &Places) -> Self {
        Self {
            models: CATALOG.iter().map(|m| (*m, places.find(m))).collect(),
            own: places.own.clone(),
        }
    }
}
