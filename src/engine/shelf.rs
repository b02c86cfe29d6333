//! What the engine's threads share: the open study and the pictures made so far. Held for moments only;
//! the window never touches it.

use crate::study::{Generation, GenerationKey, StudyOutline};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
struct Contents {
    outline: Arc<StudyOutline>,
    generations: HashMap<(GenerationKey, Option<Arc<str>>), Arc<Generation>>,
}

/// The shared shelf. Cheap to clone.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<Contents>>);

impl Shelf {
    /// A panic elsewhere leaves plain data behind, so a poisoned lock is still good.
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clears the shelf for another study.
    pub fn open(&self, outline: Arc<StudyOutline>) {
        *self.contents() = Contents {
            outline,
            generations: HashMap::new(),
        };
    }

    /// The open study.
    pub fn outline(&self) -> Arc<StudyOutline> {
        self.contents().outline.clone()
    }

    /// Puts a picture on the shelf, in place of an earlier one with the same key and variant.
    pub fn put(&self, generation: Arc<Generation>) {
        let key = (generation.key, generation.variant.clone());
        self.contents().generations.insert(key, generation);
    }

    /// A picture, if it was made with this variant.
    pub fn generation(&self, key: GenerationKey, variant: Option<Arc<str>>) -> Option<Arc<Generation>> {
        self.contents().generations.get(&(key, variant)).cloned()
    }
}
