//! What the engine's threads share: the open study and the pictures made so far. Held for moments only;
//! the window never touches it.

use super::regions::Comparer;
use crate::study::{Generation, GenerationKey, StudyOutline};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
struct Contents {
    outline: Arc<StudyOutline>,
    generations: HashMap<(GenerationKey, Option<Arc<str>>), Arc<Generation>>,
    comparer: Option<Comparer>,
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
        let mut contents = self.contents();
        contents.outline = outline;
        contents.generations.clear();
    }

    /// What edited regions are compared with from now on.
    pub fn set_comparer(&self, comparer: Option<Comparer>) {
        self.contents().comparer = comparer;
    }

    /// What edited regions are compared with, once the gallery is prepared.
    pub fn comparer(&self) -> Option<Comparer> {
        self.contents().comparer.clone()
    }

    /// The open study.
    pub fn outline(&self) -> Arc<StudyOutline> {
        self.contents().outline.clone()
    }

    /// Puts a picture on the shelf, in place of an earlier one with the same key and variant.
    /// Its small copy stays outside: the engine reads it from disk when a list shows it.
    pub fn put(&self, generation: Arc<Generation>) {
        let generation = generation.without_thumbnail();
        let key = (generation.key, generation.variant.clone());
        self.contents().generations.insert(key, generation);
    }

    /// All pictures, those of the checkpoint as it is first, by prompt and seed.
    pub fn all(&self) -> Vec<Arc<Generation>> {
        let mut all: Vec<_> = self.contents().generations.values().cloned().collect();
        all.sort_by(|a, b| (&a.variant, a.key).cmp(&(&b.variant, b.key)));
        all
    }

    /// The pictures by their file names without ending. A name that two pictures share is left out.
    pub fn by_file_name(&self) -> HashMap<String, GenerationKey> {
        let mut found: HashMap<String, Option<GenerationKey>> = HashMap::new();
        for generation in self.contents().generations.values() {
            let stem = generation.image.file_stem().unwrap_or_default();
            found
                .entry(stem.to_string_lossy().into_owned())
                .and_modify(|key| *key = None)
                .or_insert(Some(generation.key));
        }
        found
            .into_iter()
            .filter_map(|(name, key)| Some((name, key?)))
            .collect()
    }

    /// A picture, if it was made with this variant.
    pub fn generation(&self, key: GenerationKey, variant: Option<Arc<str>>) -> Option<Arc<Generation>> {
        self.contents().generations.get(&(key, variant)).cloned()
    }
}
